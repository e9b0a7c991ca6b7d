import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { compareRounds, createBench } from '../../../tools/bench/bench.ts'
import { type Results, ratio } from '../../../tools/bench/results.ts'
import { root } from '../../../tools/local/service.ts'

test('a ratio divides its first contestant by its second one, and has the bounds for its extent', () => {
  const options = { extent: 'full', say: () => {} } as unknown as Parameters<typeof createBench>[0]
  const bench = createBench(options)
  const rounds = (...rates: number[]) => rates.map(rate => ({ rate, details: {} }))
  compareRounds(bench, 'read', { ours: rounds(3, 8), theirs: rounds(1, 2) }, ['ours', 'theirs'], 'read')
  expect(bench.ratios).toEqual([ratio('read: ours / theirs', [3, 8], [1, 2], { atLeast: 0.85 })])
})

test('each ratio in results.json is computed from two series in results.json', async () => {
  const { series, ratios } = JSON.parse(
    await readFile(join(root, 'tools/bench/results.json'), 'utf8')
  ) as Results
  expect(ratios.length).toBeGreaterThan(0)
  for (const { name, atLeast, atMost, ...spread } of ratios) {
    const [ours, theirs] = name.replace(/^.*?: /, '').split(' / ')
    const pairs = series
      .filter(({ contestant }) => contestant === ours)
      .flatMap(over => {
        const under = series.find(({ phase, contestant }) => phase === over.phase && contestant === theirs)
        return under?.rounds.length === over.rounds.length ? [ratio(name, over.rounds, under.rounds)] : []
      })
    expect(pairs).toContainEqual({ name, ...spread })
  }
})
