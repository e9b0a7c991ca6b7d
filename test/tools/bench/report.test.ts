import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { renderCharts } from '../../../tools/bench/report/charts.ts'
import { renderFigures, replaceFigures } from '../../../tools/bench/report/readme.ts'
import { renderSpeed } from '../../../tools/bench/report/speed.ts'
import { renderTable } from '../../../tools/bench/report/table.ts'
import { holds, medianOf, type Results, ratio, series } from '../../../tools/bench/results.ts'
import { root } from '../../../tools/local/service.ts'
import { full, minimal } from './made-up.ts'

const figures = fc.array(fc.double({ min: 0.001, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 9 })

test('a median has as many figures above it as below it, in any order', () => {
  fc.assert(
    fc.property(figures, list => {
      const median = medianOf(list)
      expect(list.filter(each => each < median).length).toBeLessThanOrEqual(list.length / 2)
      expect(list.filter(each => each > median).length).toBeLessThanOrEqual(list.length / 2)
      expect(medianOf(list.toReversed())).toBe(median)
    })
  )
  expect(medianOf([9, 1, 2])).toBe(2)
  expect(medianOf([10, 1, 2, 4])).toBe(3)
  expect(() => medianOf([])).toThrow()
})

test('a series has the spread of its rounds, and the medians of its details', () => {
  const details = [{ p99_ms: 3 }, { p99_ms: 1 }, { p99_ms: 2 }]
  expect(series('accept', 'limit', 'orders/s', [5, 30, 10], details)).toEqual({
    phase: 'accept',
    contestant: 'limit',
    unit: 'orders/s',
    rounds: [5, 30, 10],
    median: 10,
    low: 5,
    high: 30,
    details: { p99_ms: 2 }
  })
})

test('a ratio compares round by round, so noise that affects both contestants does not change it', () => {
  fc.assert(
    fc.property(figures, fc.double({ min: 0.01, max: 100, noNaN: true }), (under, factor) => {
      const found = ratio(
        'a / b',
        under.map(each => each * factor),
        under
      )
      for (const each of [found.median, found.low, found.high]) expect(each).toBeCloseTo(factor, 6)
    })
  )
  // The medians are the same, but every round except one differs.
  expect(ratio('a / b', [1, 2, 30], [2, 4, 1]).median).toBe(0.5)
  expect(() => ratio('a / b', [1, 2], [1])).toThrow('a / b')
  expect(() => ratio('a / b', [], [])).toThrow('a / b')
})

test('a ratio meets its aim at its bounds and between them', () => {
  const one = (bounds: { atLeast?: number; atMost?: number }) => holds(ratio('a / b', [1], [1], bounds))
  expect([one({}), one({ atLeast: 1 }), one({ atMost: 1 }), one({ atLeast: 0.5, atMost: 2 })]).not.toContain(
    false
  )
  expect([one({ atLeast: 1.01 }), one({ atMost: 0.99 }), one({ atLeast: 2, atMost: 3 })]).not.toContain(true)
})

test('the table has every series under its phase, in aligned columns', () => {
  const blocks = renderTable(full).split('\n\n')
  for (const { phase, contestant, unit } of full.series) {
    const block = blocks.find(text => text.startsWith(`${phase} (${unit})`))
    expect(block, phase).toBeDefined()
    const lines = block?.split('\n') ?? []
    const line = lines.find(text => text.startsWith(`  ${contestant}  `))
    expect(line, contestant).toBeDefined()
    // The median ends in the column where its heading ends.
    const column = (lines[0]?.indexOf('median') ?? 0) + 'median'.length
    expect(line?.slice(0, column)).toMatch(/ [\d.,]+$/)
    expect(line?.slice(column)).toMatch(/^( |$)/)
  }
  expect(renderTable(full)).toContain('14,300')
  expect(renderTable(full)).toContain('13,700–14,900')
})

test('the table marks missed aims, and leaves ratios without an aim unmarked', () => {
  const lines = renderTable(full).split('\n')
  const verdicts = full.ratios.map(({ name }) =>
    lines
      .find(line => line.includes(name))
      ?.split(/ {2,}/)
      .at(-1)
  )
  expect(verdicts).toEqual(['reached', 'MISSED', 'reached', '1.25'])
})

test('a missing figure is a dash, also after a round trip through a file', () => {
  const broken = series('accept', 'limit', 'orders/s', [5], [{ p99_ms: Number.NaN }])
  for (const each of [broken, JSON.parse(JSON.stringify(broken))]) {
    const results = { ...minimal, series: [each] }
    expect(renderTable(results)).toMatch(/limit +5 +–/)
    expect(renderSpeed(results)).toContain('| limit | 5 |  |  | – |')
    expect(renderCharts(results).get('accept.svg')).not.toMatch(/NaN|null/)
  }
})

test('only the measured phases have charts', () => {
  const names = ['accept.svg', 'read.svg', 'drain.svg', 'sustained.svg', 'growth.svg']
  expect([...renderCharts(full).keys()]).toEqual(names)
  expect([...renderCharts(minimal).keys()]).toEqual(['accept.svg'])
  expect(renderCharts({ ...minimal, series: [] }).size).toBe(0)
})

test('the same results render the same charts, which are small, well-formed and without references', () => {
  const charts = renderCharts(full)
  renderCharts(minimal)
  expect(renderCharts(structuredClone(full))).toEqual(charts)
  for (const [name, svg] of [...charts, ...renderCharts(minimal)]) {
    expect(svg.length, name).toBeLessThan(30_000)
    expect(() => assertWellFormed(svg), name).not.toThrow()
    expect(svg, name).not.toMatch(/NaN|undefined|href|url\(|zr\d|<style|<script/)
  }
})

test('a chart has the figure of every bar and escapes names', () => {
  const svg = renderCharts(full).get('accept.svg')
  for (const text of ['limit', '14,300', 'orderstream (always)', '8,010', 'p99 12.6 ms'])
    expect(svg).toContain(`>${text}<`)
  const odd = series('accept', 'limit <&"{a|b}', 'orders/s', [5])
  const escaped = renderCharts({ ...minimal, series: [odd] }).get('accept.svg') ?? ''
  expect(() => assertWellFormed(escaped)).not.toThrow()
  expect(escaped).toContain('limit &lt;&amp;&quot;{a|b}')
})

test('bars have a fixed order, whatever was measured first', () => {
  const shuffled = { ...full, series: full.series.toReversed() }
  const labels = (svg = '') => ['100,000', '1,000,000', '10,000,000'].map(label => svg.indexOf(`>${label}<`))
  const growth = labels(renderCharts(shuffled).get('growth.svg'))
  expect(growth).toEqual(growth.toSorted((a, b) => a - b))
  expect(growth).not.toContain(-1)
  const accept = renderCharts(shuffled).get('accept.svg') ?? ''
  expect(accept.indexOf('>limit<')).toBeLessThan(accept.indexOf('>bullmq<'))
  expect(accept.indexOf('>bullmq<')).toBeLessThan(accept.indexOf('>orderstream (always)<'))
})

test('docs/speed.md names the machine and shows every chart, but no aim', () => {
  const text = renderSpeed(full)
  expect(text).toMatch(/^# Speed\n\n\S/)
  for (const part of [
    'npm run bench',
    '2026-01-31',
    '15 minutes',
    '2 cores',
    'MariaDB 10.11.14',
    'Redis 7.0.15'
  ])
    expect(text).toContain(part)
  for (const name of renderCharts(full).keys()) expect(text).toContain(`](../tools/bench/charts/${name})`)
  expect(renderSpeed(minimal).match(/!\[/g)).toHaveLength(1)
  expect(text).toContain('| accept: orderstream (always) / limit | 0.410 | 0.400–0.450 |')
  expect(text).not.toMatch(/missed|≥|≤/)
  expect(text).toContain('a waiting order takes 712 bytes and a finished order takes 399 bytes')
  // The columns are the program, Redis, MySQL, their sum, and the memory of the program.
  expect(text).toContain('| accept: orderstream (everysec) | 88 | 22 | 12 | 122 | 123 |')
  expect(text).toContain('| 17,000 (16,600–17,600) | 16,600 (16,200–17,200) | 15,900 (15,600–16,500) |')
})

test('the README has our figures beside the figures of the peers, and a dash for a missing figure', () => {
  const text = renderFigures(full)
  expect(text).toContain('| Accept new orders, orders/s | 1,010 | 4,990 | 9,880 | 8,010 |')
  expect(text).toContain('| Accept and process at once, orders/s | – | 1,230 | – | 5,430 |')
  expect(text.match(/!\[[^\]]+\]\(tools\/bench\/charts\/accept\.svg\)/g)).toHaveLength(1)
})

test('every row of a table has as many cells as its head', () => {
  for (const results of [full, minimal]) {
    const tables = `${renderSpeed(results)}\n${renderFigures(results)}`
      .split('\n\n')
      .filter(text => text.startsWith('|'))
    expect(tables.length).toBeGreaterThan(0)
    for (const text of tables) {
      const cells = text.split('\n').map(line => line.split('|').length)
      expect(new Set(cells).size).toBe(1)
      expect(cells.length).toBeGreaterThan(2)
    }
  }
})

test('only the text between the markers is replaced, and a second replacement changes nothing', () => {
  const before = '# A $& project\n\n<!-- bench:begin -->'
  const after = "<!-- bench:end -->\n\n## Next $1 $'\n"
  for (const old of ['', '\n', '\nold figures\n']) {
    const once = replaceFigures(`${before}${old}${after}`, full)
    expect(once).toBe(`${before}\n\n${renderFigures(full)}\n\n${after}`)
    expect(replaceFigures(once, full)).toBe(once)
    expect(replaceFigures(replaceFigures(once, minimal), full)).toBe(once)
  }
})

test('a README without the markers, or with different markers, does not change', () => {
  const [begin, end] = ['<!-- bench:begin -->', '<!-- bench:end -->']
  for (const text of ['', begin, end, `${end}${begin}`, `${begin}${begin}${end}`, `${begin}${end}${end}`])
    expect(() => replaceFigures(text, full), text).toThrow(begin)
  expect(() => replaceFigures(`${end}${begin}${end}`, full)).toThrow(begin)
})

test('README, docs/speed.md and the charts match results.json', async () => {
  const results = JSON.parse(await readFile(join(root, 'tools/bench/results.json'), 'utf8')) as Results
  expect(results.extent).toBe('full')
  const readme = await readFile(join(root, 'README.md'), 'utf8')
  expect(replaceFigures(readme, results)).toBe(readme)
  expect(await readFile(join(root, 'docs/speed.md'), 'utf8')).toBe(renderSpeed(results))
  const charts = renderCharts(results)
  expect((await readdir(join(root, 'tools/bench/charts'))).toSorted()).toEqual([...charts.keys()].toSorted())
  for (const [name, svg] of charts)
    expect(await readFile(join(root, 'tools/bench/charts', name), 'utf8'), name).toBe(svg)
})

/** Throws unless every tag is closed in order and all other text is escaped. */
function assertWellFormed(text: string): void {
  const open: string[] = []
  const rest = text.replace(
    /<(\/?)([a-z]\w*)((?:\s+[\w:-]+="[^"<&]*")*)\s*(\/?)>/gi,
    (_, slash, name, __, empty) => {
      if (slash && open.pop() !== name) throw new Error(`</${name}> closes nothing`)
      if (!slash && !empty) open.push(name)
      return ''
    }
  )
  if (open.length > 0) throw new Error(`not closed: ${open.join(', ')}`)
  const stray = /<|&(?!(?:amp|lt|gt|quot|#\d+);)/.exec(rest)
  if (stray) throw new Error(`stray ${stray[0]} in ${rest.slice(stray.index, stray.index + 60)}`)
}
