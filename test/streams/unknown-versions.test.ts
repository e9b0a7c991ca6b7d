import { Type } from 'typebox'
import { expect, test } from 'vitest'
import { createGroupMember } from '../../src/streams/group/member.ts'
import { useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'
import { makeFunction, type TestFunction, useWorker } from './functions.ts'

const space = await useSpace()
const LINE = 'messages of another version are left to other workers'

/** Starts a worker of the next version, which records the messages that it gets. */
async function startNewer(fn: TestFunction, version: string | string[]) {
  const seen: [version: string, n: number, attempt: number][] = []
  await useWorker(space, {
    ...fn.definition,
    version,
    handler: async messages => {
      for (const { version, body, attempt } of messages)
        seen.push([version, (body as { n: number }).n, attempt])
    }
  })
  return seen
}

test('5,000 messages of an unknown version are skipped, logged in one line, counted, and left to other workers', {
  timeout: 90_000
}, async () => {
  const seen: number[] = []
  const fn = makeFunction(space, async messages => void seen.push(...messages.map(({ body }) => body.n)), {
    batch: { size: 100, window: 0 }
  })
  const messages = space.redis.pipeline()
  for (let n = 0; n < 5000; n++) messages.xadd(fn.key, '*', ...fn.fields(n, '2'))
  for (let n = 0; n < 10; n++) messages.xadd(fn.key, '*', ...fn.fields(n))
  await messages.exec()
  const { log, call } = await useWorker(space, fn.definition)
  await until('its own messages are reached', () => seen.length === 10)
  const count = async () => {
    const { body } = await call({ url: '/metrics', headers: { accept: 'text/plain' } })
    const pattern = `orderstream_foreign_messages_total\\{function="${fn.name}",version="2"\\} (\\d+)`
    return Number(new RegExp(pattern).exec(body)?.[1])
  }
  expect(await count()).toBe(5000)
  // The worker takes none of the messages again, even after its lease.
  await fn.add(10)
  const idle = async () =>
    Number(((await space.redis.xpending(fn.key, fn.name, '-', '+', 1)) as number[][])[0]?.[2])
  const before = await idle()
  await until('leases have passed', async () => (await idle()) > before + 1500)
  expect(await count()).toBe(5000)
  expect(log.filter(({ msg }) => msg === LINE)).toEqual([
    expect.objectContaining({ function: fn.name, version: '2', messages: expect.any(Number) })
  ])
  const newer = await startNewer(fn, ['2', '3'])
  await fn.add(5000, '3')
  await fn.settled()
  const all = Array.from({ length: 5001 }, (_, n) => [n === 5000 ? '3' : '2', n, 1])
  expect(newer.sort(([, a], [, b]) => a - b)).toEqual(all)
  expect(seen).toHaveLength(11)
})

test('a message of an unknown version is released before its lease ends, and its delivery does not count', async () => {
  const fn = makeFunction(space, async () => undefined)
  const id = await fn.add(1, '2')
  // With this lease, no message is taken over because its lease has ended.
  const { app, log } = await useApp(space, 'worker', { LEASE_MS: 600_000 }, app => app.consume(fn.definition))
  await until('it is left', () => log.some(({ msg }) => msg === LINE))
  const { keys } = app
  const { redis } = app.stores
  const common = { redis, keys, partition: 0, consumer: 'other', lease: () => 600_000 }
  const names = { name: fn.name, group: fn.name, stream: fn.definition.stream }
  const knowing = createGroupMember({ ...common, definition: { ...names, version: '2' } })
  const unknowing = createGroupMember({ ...common, definition: { ...names, version: '3' } })
  await until(
    'it is pending for nobody',
    async () => (await space.redis.xpending(fn.key, fn.name))?.[0] === 1
  )
  expect((await unknowing.claim('0-0', 10, 'safe')).deliveries).toEqual([])
  const taken = await until('it is free', async () => {
    const { deliveries } = await knowing.claim('0-0', 10, 'safe')
    return deliveries.length > 0 && deliveries
  })
  expect(taken).toMatchObject([{ id, deliveries: 1 }])
})

test('a retry of an unknown version is left to a worker that knows it, without an attempt', async () => {
  let fails = true
  const fn = makeFunction(space, async () => undefined, {
    version: '2',
    schema: Type.Object({ n: Type.Integer() }),
    // Only the change below makes the retry due, so the first worker makes one attempt.
    retry: { attempts: 3, base: 3_600_000, max: 3_600_000 },
    handler: async () => {
      if (fails) throw new Error('not this time')
    }
  })
  await fn.add(1, '2')
  const first = await useWorker(space, fn.definition)
  const retry = first.app.keys.retry(fn.name, 0)
  await until('it waits for a retry', async () => (await space.redis.zcard(retry)) === 1)
  await first.close()
  const [id] = await space.redis.zrange(retry, '0', '-1')
  await space.redis.zadd(retry, 1, id as string)
  fails = false
  const older = await useWorker(space, { ...fn.definition, version: '1' })
  await until('it is left', () => older.log.some(({ msg }) => msg === LINE))
  const retrying = older.app.keys.retrying(fn.name, 0)
  const tokens = async () => (await space.redis.hgetall(retrying))[`${await idOf(retrying)}#`]
  const before = await tokens()
  await fn.add(2, '1')
  await until('others are done meanwhile', async () => (await space.redis.xlen(fn.key)) === 0)
  expect(await tokens()).toBe(before)
  const newer = await startNewer(fn, '2')
  await until('it is done', () => newer.length === 1)
  expect(newer[0]?.slice(0, 2)).toEqual(['2', 1])
  await until('nothing is left of it', async () => (await space.redis.exists(retrying)) === 0)
})

test('a retry that is due after many retries of an unknown version is found in several steps', async () => {
  const fn = makeFunction(space, async () => undefined)
  const { app } = await useApp(space, 'api')
  const { keys } = app
  const { redis } = app.stores
  const [retry, retrying] = [keys.retry(fn.name, 0), keys.retrying(fn.name, 0)]
  const record = '{"taken":1,"v":"2","data":"{}","attempts":0,"firstAt":1}'
  const retries = space.redis.pipeline()
  for (let n = 0; n <= 3000; n++) {
    const id = `1-${n}`
    retries.zadd(retry, n, id).hset(retrying, id, record, `${id}#`, '1')
    if (n < 3000) retries.hset(retrying, `${id}@`, '2')
  }
  await retries.exec()
  const definition = { name: fn.name, group: fn.name, stream: fn.definition.stream }
  const common = { redis, keys, partition: 0, consumer: 'other', lease: () => 600_000 }
  const member = createGroupMember({ ...common, definition })
  expect((await member.takeRetries(10, [], 'safe')).deliveries).toEqual([])
  // The call has seen 1,000 retries. The first 100 stay due, for a worker that supports them.
  expect(await space.redis.zcount(retry, 3001, '+inf')).toBe(900)
  const { deliveries } = await until('it is reached', async () => {
    const taken = await member.takeRetries(10, [], 'safe')
    return taken.deliveries.length > 0 && taken
  })
  expect(deliveries).toMatchObject([{ id: '1-3000' }])
})

async function idOf(retrying: string): Promise<string> {
  return (await space.redis.hkeys(retrying)).find(field => /^[\d-]+$/.test(field)) as string
}
