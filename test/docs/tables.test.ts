import { glob } from 'node:fs/promises'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { Type } from 'typebox'
import { expect, test } from 'vitest'
import { PROBLEMS, type ProblemKind } from '../../schema/http/problem-types.ts'
import { resolveFunction, type StreamFunction } from '../../src/streams/function.ts'
import { createKeys, type Keys } from '../../src/streams/keys.ts'
import { useApp } from '../harness/app.ts'
import { useSpace } from '../harness/space.ts'
import { read, rowsUnder } from './pages.ts'

const space = await useSpace()
test('docs/functions.md lists every option of app.consume with its default', async () => {
  const needed: StreamFunction = { name: 'n', stream: 's', schema: Type.Object({}), handler: async () => {} }
  const { name, stream, schema, handler, group, ...defaults } = resolveFunction(needed)
  const rows = rowsUnder(await read('docs/functions.md'), '| option | default | meaning |')
  const documented = rows.map(([option = '', fallback]) => [option.replaceAll('`', ''), fallback])
  const expected = Object.entries(defaults).map(([option, value]) => [
    option,
    `\`${inspect(value, { numericSeparator: true })}\``
  ])
  expect(Object.fromEntries(documented)).toEqual({
    ...Object.fromEntries(expected),
    group: '`name`',
    filter: 'all',
    onDead: '–',
    onRetry: '–'
  })
})

test('docs/operations.md lists every metric of the service, with its labels', async () => {
  const { app } = await useApp(space, 'worker')
  const registered = (await app.metrics.registry.getMetricsAsJSON())
    .map(({ name }) => name)
    .filter(name => !/^(process|nodejs)_/.test(name))
  const rows = rowsUnder(await read('docs/operations.md'), '| metric | shows | alert on |')
  const documented = rows.map(([cell = '']) => cell.replaceAll('`', ''))
  const labels = registered.map(name => {
    // The types of the library do not have the labels.
    const { labelNames } = app.metrics.registry.getSingleMetric(name) as unknown as { labelNames: string[] }
    return labelNames.length === 0 ? name : `${name}{${labelNames.join(',')}}`
  })
  expect(documented.toSorted()).toEqual(labels.toSorted())
})

test('docs/api.md lists every route', async () => {
  const { app } = await useApp(space, 'api', { ADMIN_TOKEN: 'a-token-for-the-tests' })
  const { paths = {} } = app.swagger() as { paths?: Record<string, Record<string, unknown>> }
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map(method => `${method.toUpperCase()} ${path}`)
  )
  const text = await read('docs/api.md')
  const rows = ['| route | answers |', '| route | does |'].flatMap(head => rowsUnder(text, head))
  const listed = rows.map(([route = '']) => route.replaceAll('`', ''))
  expect(listed.filter(route => route !== 'GET /docs').toSorted()).toEqual(described.toSorted())
})

test('docs/architecture.md lists every key of Redis', async () => {
  const keys = createKeys('<KEY_PREFIX>', 1)
  const all: Record<
    keyof Omit<Keys, 'prefix' | 'cluster' | 'partitions' | 'partitionOf' | 'stream'>,
    string
  > = {
    document: keys.document('<order_id>'),
    accepted: keys.accepted(0),
    settled: keys.settled(0),
    retry: keys.retry('<function>', 0),
    retrying: keys.retrying('<function>', 0),
    dead: keys.dead('<function>', 0),
    deadLetterMark: keys.deadLetterMark('<function>', 0, '<id>'),
    discarded: keys.discarded('<function>', 0),
    functions: keys.functions(0),
    alive: keys.alive(0),
    partitionCount: keys.partitionCount(),
    processes: keys.processes(),
    taxRates: keys.taxRates(),
    adminActions: keys.adminActions(),
    apiKeys: keys.apiKeys(),
    apiKeysWhole: keys.apiKeysWhole(),
    rate: keys.rate('<client>', '<second>' as unknown as number)
  }
  const used = [keys.stream('placed', 0), keys.stream('events', 0), ...Object.values(all)]
  const listed = rowsUnder(await read('docs/architecture.md'), '| key | type | holds |')
  expect(listed.map(([key = '']) => key.replaceAll('`', '')).toSorted()).toEqual(
    used.map(key => key.replace(/^\{.*\}:/, '')).toSorted()
  )
})

test('docs/architecture.md lists every table of MySQL', async () => {
  const columns = JSON.parse(await read('migrations/columns.json')) as Record<string, unknown>
  const listed = rowsUnder(await read('docs/architecture.md'), '| table | holds |')
  expect(listed.map(([table = '']) => table.replaceAll('`', '')).toSorted()).toEqual(
    Object.keys(columns).toSorted()
  )
})

test('the files of docs/architecture.md export the shapes of an order', async () => {
  const shapes = rowsUnder(await read('docs/architecture.md'), '| shape | where | what it is |')
  expect(shapes).toHaveLength(8)
  for (const [shape = '', where = ''] of shapes) {
    const path = /\]\(\.\.\/(.+)\)/.exec(where)?.[1] ?? ''
    const declaration = new RegExp(`^export (type|interface) ${shape.replaceAll('`', '')}\\b`, 'm')
    expect(await read(path), shape).toMatch(declaration)
  }
})

test('docs/architecture.md names the tests of every invariant', async () => {
  const proven = new Map<string, Set<string>>()
  const root = join(import.meta.dirname, '../..')
  for await (const path of glob('test/**/*.test.ts', { cwd: root })) {
    for (const [, names = ''] of (await read(path)).matchAll(/['"`]((?:I\d+(?:, )?)+): /g))
      for (const name of names.split(', ')) proven.set(name, (proven.get(name) ?? new Set()).add(path))
  }
  const rows = rowsUnder(await read('docs/architecture.md'), '| invariant | statement | tests |')
  const listed = rows.map(([name = '', , tests = '']) => {
    const paths = [...tests.matchAll(/\]\(\.\.\/([^)]+)\)/g)].map(([, path = '']) => path)
    return [name, paths.toSorted()]
  })
  const expected = Array.from({ length: 11 }, (_, index) => `I${index + 1}`).map(name => [
    name,
    [...(proven.get(name) ?? [])].toSorted()
  ])
  expect(listed).toEqual(expected)
  expect(expected.every(([, paths]) => (paths?.length ?? 0) > 0)).toBe(true)
})

test('docs/api.md lists every type of problem', async () => {
  const rows = rowsUnder(await read('docs/api.md'), '| type | status | meaning |')
  expect(rows).toEqual(
    Object.entries<ProblemKind>(PROBLEMS).map(([name, { status, title }]) => [
      `\`${name}\``,
      String(status ?? 'several'),
      `${title}.`
    ])
  )
})
