import { readFile } from 'node:fs/promises'
import { inspect } from 'node:util'
import { Type } from 'typebox'
import { expect, test } from 'vitest'
import { resolveFunction, type StreamFunction } from '../../src/streams/function.ts'
import { useApp } from '../harness/app.ts'
import { useSpace } from '../harness/space.ts'

const space = await useSpace()
const file = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), 'utf8')

/** The cells of the rows of the table with this head. */
async function rowsUnder(path: string, head: string): Promise<string[][]> {
  const [, table = ''] = (await file(path)).split(`${head}\n`)
  const lines = table.slice(0, table.indexOf('\n\n')).split('\n').slice(1)
  return lines.map(line =>
    line
      .split('|')
      .map(cell => cell.trim())
      .slice(1, -1)
  )
}

test('docs/functions.md lists every option of app.consume with its default', async () => {
  const needed: StreamFunction = { name: 'n', stream: 's', schema: Type.Object({}), handler: async () => {} }
  const { name, stream, schema, handler, group, ...defaults } = resolveFunction(needed)
  const rows = await rowsUnder('docs/functions.md', '| option | default | meaning |')
  const documented = rows.map(([option = '', fallback]) => [option.replaceAll('`', ''), fallback])
  const expected = Object.entries(defaults).map(([option, value]) => [
    option,
    `\`${inspect(value, { numericSeparator: true })}\``
  ])
  expect(Object.fromEntries(documented)).toEqual({
    ...Object.fromEntries(expected),
    group: '`name`',
    filter: 'all',
    onDead: '–'
  })
})

test('the README lists every metric of the service, with its labels', async () => {
  const { app } = await useApp(space, 'worker')
  const registered = (await app.metrics.registry.getMetricsAsJSON())
    .map(({ name }) => name)
    .filter(name => !/^(process|nodejs)_/.test(name))
  const rows = await rowsUnder('README.md', '| metric | says | worth an alert |')
  const documented = rows.map(([cell = '']) => cell.replaceAll('`', ''))
  const labels = registered.map(name => {
    // The labels are not in the types of the library.
    const { labelNames } = app.metrics.registry.getSingleMetric(name) as unknown as { labelNames: string[] }
    return `${name}{${labelNames.join(',')}}`
  })
  expect(documented.toSorted()).toEqual(labels.toSorted())
})
