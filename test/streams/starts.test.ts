import { Type } from 'typebox'
import { expect, onTestFinished, test } from 'vitest'
import type { App } from '../../src/app.ts'
import type { StreamFunction } from '../../src/streams/function.ts'
import { createStarts } from '../../src/streams/group/starts.ts'
import { openApp, useApp } from '../harness/app.ts'
import { connectTo, NOWHERE, until, useSpace } from '../harness/space.ts'

const space = await useSpace()
let count = 0

/** A log of its own with two partitions, and a function on it that notes what it sees. */
function useLog(start?: StreamFunction['start']) {
  const own = ++count
  const overrides = { KEY_PREFIX: `${space.env.KEY_PREFIX}.${own}`, STREAM_PARTITIONS: 2, LEASE_MS: 500 }
  const seen: number[] = []
  const definition: StreamFunction = {
    name: `listener-${own}`,
    stream: 'events',
    schema: Type.Object({ n: Type.Integer() }),
    ...(start && { start }),
    handler: async messages => {
      seen.push(...messages.map(({ body }) => (body as { n: number }).n))
    }
  }
  const key = (partition: number) => `{${overrides.KEY_PREFIX}:${partition}}:events`
  return {
    overrides,
    definition,
    seen,
    key,
    add: (n: number, partition = 0) =>
      space.redis.xadd(key(partition), '*', 'v', '1', 'data', JSON.stringify({ n }), 'request_id', ''),
    consume: (app: App) => app.consume(definition),
    record: async () =>
      (
        await space.sql<{ positions: string | null }>(
          'SELECT positions FROM function_starts WHERE group_name = ?',
          [definition.name]
        )
      )[0]
  }
}

const sorted = (numbers: number[]) => [...new Set(numbers)].sort((a, b) => a - b)

test('a new function on events gets what happens from now on, and with start `all` what is still kept, too', async () => {
  for (const [start, expected] of [
    [undefined, [3, 4]],
    ['new', [3, 4]],
    ['all', [1, 2, 3, 4]]
  ] as const) {
    const log = useLog(start)
    await log.add(1)
    await log.add(2, 1)
    await useApp(space, 'worker', log.overrides, log.consume)
    // The app is ready: from here on nothing may be missed.
    await log.add(3)
    await log.add(4, 1)
    await until('it has seen what it should', () => log.seen.includes(3) && log.seen.includes(4))
    expect(sorted(log.seen)).toEqual(expected)
  }
})

test('a queue has no start: it begins at its oldest message', async () => {
  await useApp(space, 'worker', {}, app => {
    const definition = { ...useLog().definition, stream: 'stock', start: 'new' as const }
    expect(() => app.consume(definition)).toThrow(/start: only events has it/)
    expect(() => app.consume({ ...useLog().definition, start: 'now' as 'new' })).toThrow(/start must be/)
  })
})

test('a group that existed is made anew at the beginning: of a consumer that runs, and of one that starts', async () => {
  const log = useLog('new')
  await log.add(0)
  const first = await openApp(space, 'worker', log.overrides, log.consume)
  await until('it is recorded', async () => (await log.record())?.positions === null)
  await space.redis.del(log.key(0), log.key(1))
  for (const partition of [0, 1]) await log.add(1 + partition, partition)
  await until('the running one sees all', () => sorted(log.seen).join() === '1,2').finally(first.close)

  await space.redis.del(log.key(0), log.key(1))
  for (const partition of [0, 1]) await log.add(3 + partition, partition)
  await useApp(space, 'worker', log.overrides, log.consume)
  await until('the one that starts sees all', () => sorted(log.seen).join() === '1,2,3,4')
})

test('workers that start at once begin where the first one was going to, though it died before it had made all groups', async () => {
  const log = useLog('new')
  const idle = (await useApp(space, 'worker', log.overrides)).app
  await log.add(1)
  await log.add(2, 1)
  const positions = await Promise.all(
    [0, 1].map(async at => (await space.redis.xrevrange(log.key(at), '+', '-'))[0]?.[0])
  )
  await space.sql('INSERT INTO function_starts (stream, group_name, positions) VALUES (?, ?, ?)', [
    'events',
    log.definition.name,
    JSON.stringify(positions)
  ])
  await space.redis.xgroup('CREATE', log.key(0), log.definition.name, positions[0] as string)
  await log.add(3)
  await log.add(4, 1)
  const starts = [1, 2, 3].map(() => createStarts(idle.stores.redis, idle.stores.mysql, idle.keys))
  const { name } = log.definition
  await Promise.all(starts.map(own => own.begin({ stream: 'events', group: name, start: 'new' })))
  expect(await log.record()).toEqual({ positions: null })
  await useApp(space, 'worker', log.overrides, log.consume)
  await until('it has seen both', () => sorted(log.seen).length === 2)
  expect(sorted(log.seen)).toEqual([3, 4])
})

test('a position that Redis has lost since is no position: what the log has then is new', async () => {
  const log = useLog('new')
  await useApp(space, 'worker', log.overrides)
  await space.sql('INSERT INTO function_starts (stream, group_name, positions) VALUES (?, ?, ?)', [
    'events',
    log.definition.name,
    JSON.stringify(['9999999999999-0', '9999999999999-0'])
  ])
  await log.add(1)
  await useApp(space, 'worker', log.overrides, log.consume)
  await until('it sees it', () => log.seen.includes(1))
})

test('without MySQL no group is made, since it could be one that existed; a group that is there is read', async () => {
  const log = useLog('new')
  await log.add(1)
  const start = () => openApp(space, 'worker', { ...log.overrides, DB_PORT: NOWHERE }, log.consume)
  const worker = await start()
  const consumers = worker.app.streams.consumers.filter(
    ({ definition }) => definition.name === log.definition.name
  )
  await until('it waits for MySQL', () => consumers.every(({ waitingFor }) => waitingFor() === 'mysql'))
  expect(await space.redis.xinfo('GROUPS', log.key(0))).toEqual([])
  await worker.close()

  // As an older version made them.
  for (const partition of [0, 1])
    await space.redis.xgroup('CREATE', log.key(partition), log.definition.name, '0', 'MKSTREAM')
  const reader = await start()
  onTestFinished(() => reader.close())
  await until('it reads', () => log.seen.includes(1))
  expect(await log.record()).toBeUndefined()
})

test('groups of an older version are recorded as such that existed, as soon as MySQL is there', async () => {
  const log = useLog('new')
  const { app } = await useApp(space, 'worker', log.overrides)
  const { keys } = app
  const { redis, mysql } = app.stores
  for (const partition of [0, 1])
    await space.redis.xgroup('CREATE', log.key(partition), log.definition.name, '0', 'MKSTREAM')
  const away = await openApp(space, 'api', { ...log.overrides, DB_PORT: NOWHERE })
  onTestFinished(() => away.close())
  let reachable = false
  const later = createStarts(
    redis,
    { ...mysql, transaction: work => (reachable ? mysql : away.app.stores.mysql).transaction(work) },
    keys
  )
  await later.begin({ stream: 'events', group: log.definition.name, start: 'new' })
  expect(await log.record()).toBeUndefined()
  reachable = true
  await later.recordLate()
  expect(await log.record()).toEqual({ positions: null })
})

test('a worker starts while MySQL lets the record of a function wait, which begins after that', async () => {
  const log = useLog('all')
  await log.add(1)
  const other = await connectTo(space)
  await useApp(space, 'api')
  await other.query('LOCK TABLES function_starts WRITE')
  await useApp(space, 'worker', log.overrides, log.consume)
  expect(log.seen).toEqual([])
  await other.end()
  await until('it has begun', () => log.seen.includes(1))
})
