import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'

const space = await useSpace()

/** Returns the levels of the lines about two requests, one of which is a probe. */
async function levelsAt(LOG_LEVEL: string) {
  const { app, call, log } = await useApp(space, 'api', { LOG_LEVEL })
  for (const url of ['/health/live', '/health/ready', '/orders/none']) await call(url)
  app.log.error('the last line')
  await until('the last line', () => log.some(({ msg }) => msg === 'the last line'))
  for (const line of log) expect(line).toMatchObject({ mode: 'api', pid: process.pid })
  return log.filter(({ url }) => url).map(({ url, level }) => [url, level])
}

test('a request is logged at info, and a probe of an orchestrator at debug', async () => {
  expect(await levelsAt('warn')).toEqual([])
  expect(await levelsAt('info')).toEqual([['/orders/none', 30]])
  expect(await levelsAt('debug')).toEqual([
    ['/health/live', 20],
    ['/health/ready', 20],
    ['/orders/none', 30]
  ])
})

test('the last line is written even if the process exits at once', async () => {
  const lines = new URL('../../src/telemetry/lines.ts', import.meta.url)
  const program = `import { standardOutput } from '${lines}'; standardOutput().write('last\\n'); process.exit()`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program])
  expect(stdout).toBe('last\n')
})
