import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { createLogReader, type LogPast } from '../../src/streams/fan-out/log-reader.ts'
import { START } from '../../src/streams/fan-out/positions.ts'
import { fieldOf } from '../../src/streams/group/delivery.ts'
import { EVENTS } from '../../src/streams/names.ts'
import { runMaintenance } from '../../src/streams/operate/maintenance.ts'
import { openApp, type TestApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'

const space = await useSpace()
let api: TestApp

beforeAll(async () => {
  api = await openApp(space, 'api')
  return () => api.close()
})

/** Reads a log. `seen` has what was reported, in order. */
function read(stream: string, past = { entries: 10, bytes: 100_000 }) {
  const seen: string[] = []
  let started: LogPast | undefined
  const reader = createLogReader({
    redis: api.app.stores.redis.masterOf(0),
    stream,
    past,
    onStart: found => {
      started = found
    },
    onEntries: entries => seen.push(...entries.map(([, fields]) => fieldOf(fields, 'data'))),
    onGap: () => seen.push('gap'),
    onFailure: error => seen.push(`failure: ${error}`),
    readAgainFrom: () => START
  })
  reader.start()
  onTestFinished(reader.stop)
  return { seen, started: () => until('the reader has started', () => started) }
}

const append = (stream: string, ...texts: string[]) =>
  Promise.all(texts.map(text => space.redis.xadd(stream, '*', 'data', text)))

test('a reader starts with the newest entries, and then reads each new one', async () => {
  const stream = api.app.keys.stream('reads', 0)
  const [, second, third] = await append(stream, 'a', 'b', 'c')
  const { started, seen } = read(stream, { entries: 2, bytes: 100_000 })
  expect(await started()).toEqual({
    entries: [
      [second, ['data', 'b']],
      [third, ['data', 'c']]
    ],
    since: second
  })
  await append(stream, 'd', 'e')
  await until('the new entries are read', () => seen.length === 2)
  expect(seen).toEqual(['d', 'e'])
})

test('a reader of a log that does not exist yet misses nothing', async () => {
  const stream = api.app.keys.stream('new', 0)
  const { started, seen } = read(stream)
  expect(await started()).toEqual({ entries: [], since: START })
  await append(stream, 'a')
  await until('the entry is read', () => seen.length === 1)
  expect(seen).toEqual(['a'])
})

test('a reader that was interrupted while the log was trimmed reports a gap', async () => {
  const stream = api.app.keys.stream('trimmed', 0)
  await append(stream, 'a')
  const { started, seen } = read(stream)
  await started()
  await append(stream, 'b')
  await until('the reader has read an entry', () => seen.length === 1)
  // One transaction, so that the reader sees only the end of it.
  await space.redis
    .multi()
    .xadd(stream, '*', 'data', 'c')
    .xadd(stream, '*', 'data', 'd')
    .xtrim(stream, 'MAXLEN', 1)
    .exec()
  await until('the gap is reported', () => seen.includes('d'))
  expect(seen).toEqual(['b', 'gap', 'd'])
})

test('a reader of a log that has lost its newest entries reads it again', async () => {
  const stream = api.app.keys.stream('lost', 0)
  await append(stream, 'a', 'b')
  const { started, seen } = read(stream)
  await started()
  // As after a failover to a replica that lacks the newest entry, and whose clock is late.
  await space.redis
    .multi()
    .del(stream)
    .xadd(stream, '1-0', 'data', 'a')
    .xadd(stream, '2-0', 'data', 'c')
    .exec()
  await until('the log is read again', () => seen.length >= 3)
  expect(seen).toEqual(['gap', 'a', 'c'])
})

test('maintenance keeps the newest entries of a log that every group has acknowledged', async () => {
  const { keys, stores } = api.app
  const log = keys.stream(EVENTS, 0)
  await space.redis.xgroup('CREATE', log, 'reader', '0', 'MKSTREAM')
  const pipeline = space.redis.pipeline()
  for (let n = 0; n < 10_500; n++) pipeline.xadd(log, '*', 'data', 'x')
  await pipeline.exec()
  await runMaintenance(stores.redis, keys, [])
  expect(await space.redis.xlen(log)).toBe(10_500)
  await space.redis.xgroup('SETID', log, 'reader', '$')
  await runMaintenance(stores.redis, keys, [])
  const kept = await space.redis.xlen(log)
  expect([kept >= 10_000, kept < 10_200]).toEqual([true, true])
})

test('I7: maintenance keeps fewer entries of a log when they are large', async () => {
  const { keys, stores } = api.app
  const log = keys.stream(EVENTS, 0)
  await space.redis.del(log)
  const large = 'x'.repeat(100_000)
  for (let n = 0; n < 300; n++) await space.redis.xadd(log, '*', 'data', large)
  await runMaintenance(stores.redis, keys, [])
  expect(await space.redis.xlen(log)).toBeLessThan(250)
})
