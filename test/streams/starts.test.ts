import { Type } from 'typebox'
import { expect, onTestFinished, test } from 'vitest'
import type { App } from '../../src/app.ts'
import type { StreamFunction } from '../../src/streams/function.ts'
import { createStarts } from '../../src/streams/group/starts.ts'
import { openApp, useApp } from '../harness/app.ts'
import { connectTo, markKeysInUse, NOWHERE, until, useOtherPrefix, useSpace } from '../harness/space.ts'

const space = await useSpace()
let count = 0

/** Makes a log with two partitions and a function on this log. The function records the events that it gets. */
async function useLog(start?: StreamFunction['start']) {
  const own = ++count
  const overrides = {
    KEY_PREFIX: await useOtherPrefix(space, String(own)),
    STREAM_PARTITIONS: 2,
    LEASE_MS: 500
  }
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

test('a new function on events starts with new events, or at the oldest event with start `all`', async () => {
  for (const [start, expected] of [
    [undefined, [3, 4]],
    ['new', [3, 4]],
    ['all', [1, 2, 3, 4]]
  ] as const) {
    const log = await useLog(start)
    await log.add(1)
    await log.add(2, 1)
    await useApp(space, 'worker', log.overrides, log.consume)
    // The app is ready, so the function must get every event from here on.
    await log.add(3)
    await log.add(4, 1)
    await until('it has seen what it should', () => log.seen.includes(3) && log.seen.includes(4))
    expect(sorted(log.seen)).toEqual(expected)
  }
})

test('a function on a queue starts at the oldest message', async () => {
  const { definition } = await useLog()
  await useApp(space, 'worker', {}, app => {
    const onQueue = { ...definition, stream: 'stock', start: 'new' as const }
    expect(() => app.consume(onQueue)).toThrow(/start: only events has it/)
    expect(() => app.consume({ ...definition, start: 'now' as 'new' })).toThrow(/start must be/)
  })
})

test('a deleted group is created at the start of the stream, by a running consumer and by a new one', async () => {
  const log = await useLog('new')
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

test('workers that start together use the start of the first worker, even if it exited too early', async () => {
  const log = await useLog('new')
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
  await Promise.all(starts.map(own => own.begin({ stream: 'events', group: name, start: 'new' }, 0)))
  expect(await log.record()).toEqual({ positions: null })
  await useApp(space, 'worker', log.overrides, log.consume)
  await until('it has seen both', () => sorted(log.seen).length === 2)
  expect(sorted(log.seen)).toEqual([3, 4])
})

test('a position that Redis has lost is ignored, and all events of the log are new', async () => {
  const log = await useLog('new')
  await useApp(space, 'worker', log.overrides)
  await space.sql('INSERT INTO function_starts (stream, group_name, positions) VALUES (?, ?, ?)', [
    'events',
    log.definition.name,
    JSON.stringify(['9999999999999-0', '9999999999999-0'])
  ])
  await log.add(1)
  await useApp(space, 'worker', log.overrides, log.consume)
  await until('it gets the event', () => log.seen.includes(1))
})

test('a worker without MySQL reads existing groups and creates none, because a group may have existed', async () => {
  const log = await useLog('new')
  await markKeysInUse(space, log.overrides.KEY_PREFIX, 2)
  await log.add(1)
  const start = () => openApp(space, 'worker', { ...log.overrides, DB_PORT: NOWHERE }, log.consume)
  const worker = await start()
  const consumers = worker.app.streams.consumers.filter(
    ({ definition }) => definition.name === log.definition.name
  )
  await until('it waits for MySQL', () => consumers.every(({ waitingFor }) => waitingFor() === 'mysql'))
  expect(await space.redis.xinfo('GROUPS', log.key(0))).toEqual([])
  await worker.close()

  // An older version creates groups in this way.
  for (const partition of [0, 1])
    await space.redis.xgroup('CREATE', log.key(partition), log.definition.name, '0', 'MKSTREAM')
  const reader = await start()
  onTestFinished(() => reader.close())
  await until('it reads', () => log.seen.includes(1))
  expect(await log.record()).toBeUndefined()
})

test('groups of an older version are recorded as soon as MySQL is available', async () => {
  const log = await useLog('new')
  const { app } = await useApp(space, 'worker', log.overrides)
  const { keys } = app
  const { redis, mysql } = app.stores
  for (const partition of [0, 1])
    await space.redis.xgroup('CREATE', log.key(partition), log.definition.name, '0', 'MKSTREAM')
  const offline = await openApp(space, 'api', { ...log.overrides, DB_PORT: NOWHERE })
  onTestFinished(() => offline.close())
  let reachable = false
  const later = createStarts(
    redis,
    { ...mysql, transaction: work => (reachable ? mysql : offline.app.stores.mysql).transaction(work) },
    keys
  )
  await later.begin({ stream: 'events', group: log.definition.name, start: 'new' }, 0)
  expect(await log.record()).toBeUndefined()
  reachable = true
  await later.recordLate()
  expect(await log.record()).toEqual({ positions: null })
})

test('a worker starts while MySQL delays the record of a function, and then the function starts', async () => {
  const log = await useLog('all')
  await log.add(1)
  const other = await connectTo(space)
  await useApp(space, 'api', log.overrides)
  await other.query('LOCK TABLES function_starts WRITE')
  await useApp(space, 'worker', log.overrides, log.consume)
  expect(log.seen).toEqual([])
  await other.end()
  await until('it has begun', () => log.seen.includes(1))
})
