import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CommandError, runCommand } from '../local/command.ts'
import { root } from '../local/service.ts'
import { compareRevisions } from './against/compare.ts'
import { createBench } from './bench.ts'
import { readMachine } from './machine.ts'
import { help, type Options, readOptions } from './options.ts'
import { phaseNames, phases } from './phases.ts'
import { renderCharts } from './report/charts.ts'
import { replaceFigures } from './report/readme.ts'
import { renderSpeed } from './report/speed.ts'
import { renderTable } from './report/table.ts'
import { holds, type Results } from './results.ts'
import { type Stores, startStores } from './stores.ts'

const say = (line = '') => console.log(line)

process.exitCode = await runCommand({ help, readOptions, run })

async function run(options: Options, signal: AbortSignal): Promise<number> {
  if (process.platform !== 'linux')
    throw new CommandError('The bench reads processor time and memory from /proc, which Linux alone has.')
  const dir = await mkdtemp(join(tmpdir(), 'orderstream-bench-'))
  let keep = options.keep
  let stores: Stores | undefined
  try {
    if (options.against) return (await compareRevisions(options.against, { dir, signal, say })) ? 0 : 1
    stores = await startStores(join(dir, 'stores'), signal)
    const results = await measure(options, { stores, dir, signal })
    say(`\n${renderTable(results)}`)
    if (options.extent === 'full' && options.only.length === phaseNames.length) await publish(results)
    return results.ratios.every(holds) ? 0 : 1
  } catch (error) {
    if (!signal.aborted) keep = true
    throw error
  } finally {
    await stores?.stop()
    if (keep) say(`Data and logs are kept in ${dir}`)
    else await rm(dir, { recursive: true, force: true, maxRetries: 10 })
  }
}

/** Runs one phase after another. */
async function measure(
  { extent, only }: Options,
  parts: { stores: Stores; dir: string; signal: AbortSignal }
): Promise<Results> {
  const began = new Date()
  const elapsed = () => (Date.now() - began.getTime()) / 1000
  const bench = createBench({
    ...parts,
    extent,
    say: text => say(`${elapsed().toFixed(0).padStart(5)} s  ${text}`)
  })
  const machine = await readMachine(parts.stores)
  for (const name of only) await phases[name](bench)
  const { series, ratios } = bench
  return { at: began.toISOString(), extent, seconds: Math.round(elapsed()), machine, series, ratios }
}

/** Writes the results, the charts, docs/speed.md and the figures of the README. */
async function publish(results: Results): Promise<void> {
  const at = (...path: string[]) => join(root, ...path)
  await writeFile(at('tools/bench/results.json'), `${JSON.stringify(results, null, 2)}\n`)
  await mkdir(at('tools/bench/charts'), { recursive: true })
  for (const [name, svg] of renderCharts(results)) await writeFile(at('tools/bench/charts', name), svg)
  await writeFile(at('docs/speed.md'), renderSpeed(results))
  await writeFile(at('README.md'), replaceFigures(await readFile(at('README.md'), 'utf8'), results))
  say('Written: tools/bench/results.json, tools/bench/charts/, docs/speed.md, the figures of README.md')
}
