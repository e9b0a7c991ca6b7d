import { readFile } from 'node:fs/promises'
import { inspect } from 'node:util'
import { Type } from 'typebox'
import { expect, test } from 'vitest'
import { resolveFunction, type StreamFunction } from '../src/streams/function.ts'
import { useApp } from './harness/app.ts'
import { useSpace } from './harness/space.ts'

const space = await useSpace()
const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')

/** The cells of a table's rows; the table is that with this head. */
function rowsUnder(head: string): string[][] {
  const [, table = ''] = readme.split(`${head}\n`)
  const lines = table.slice(0, table.indexOf('\n\n')).split('\n').slice(1)
  return lines.map(line =>
    line
      .split('|')
      .map(cell => cell.trim())
      .slice(1, -1)
  )
}

test('it tells what app.consume takes, with its defaults', () => {
  const needed: StreamFunction = { name: 'n', stream: 's', schema: Type.Object({}), handler: async () => {} }
  const { name, stream, schema, handler, group, ...defaults } = resolveFunction(needed)
  const told = rowsUnder('| option | default | meaning |').map(([option = '', fallback]) => [
    option.replaceAll('`', ''),
    fallback
  ])
  const expected = Object.entries(defaults).map(([option, value]) => [
    option,
    `\`${inspect(value, { numericSeparator: true })}\``
  ])
  expect(Object.fromEntries(told)).toEqual({
    ...Object.fromEntries(expected),
    group: '`name`',
    filter: 'all',
    onDead: '–'
  })
})

test('it names every metric of the service, with its labels', async () => {
  const { app } = await useApp(space, 'worker')
  const registered = (await app.metrics.registry.getMetricsAsJSON())
    .map(({ name }) => name)
    .filter(name => !/^(process|nodejs)_/.test(name))
  const told = rowsUnder('| metric | says | worth an alert |').map(([cell = '']) => cell.replaceAll('`', ''))
  const labels = registered.map(name => {
    // The labels are not in the types of the library.
    const { labelNames } = app.metrics.registry.getSingleMetric(name) as unknown as { labelNames: string[] }
    return `${name}{${labelNames.join(',')}}`
  })
  expect(told.toSorted()).toEqual(labels.toSorted())
})
