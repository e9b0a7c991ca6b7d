import { expect, test } from 'vitest'
import { ORDER_SERVICE_FUNCTION } from '../../src/orders/service-function.ts'
import { readQueue } from '../../src/streams/operate/queue.ts'
import { type TestApp, useApp } from '../harness/app.ts'
import { until, useOtherPrefix, useSpace } from '../harness/space.ts'
import { makeFunction } from './functions.ts'

const space = await useSpace()

const ADMIN_TOKEN = 'a-token-for-the-tests'
const headers = { authorization: `Bearer ${ADMIN_TOKEN}` }

/** Returns how many corrupt entries a process has found. */
async function corruptIn({ call }: TestApp, kind: string): Promise<number> {
  const { body } = await call({ url: '/metrics', headers: { accept: 'text/plain' } })
  return Number(RegExp(`^orderstream_corrupt_entries_total\\{kind="${kind}"\\} (\\d+)$`, 'm').exec(body)?.[1])
}

test('an unreadable retry record becomes a dead letter with its text, and does not delay other retries', async () => {
  const tried: number[] = []
  const notified: unknown[] = []
  const fn = makeFunction(space, async messages => void tried.push(...messages.map(({ body }) => body.n)), {
    onDead: async deadLetters => {
      notified.push(deadLetters)
      return {}
    }
  })
  const [retry, retrying] = ['retry', 'retrying'].map(
    name => `{${space.env.KEY_PREFIX}:0}:${name}:${fn.name}`
  )
  const good = { v: '1', data: '{"n":7}', attempts: 1, firstAt: 1, taken: 0 }
  const records = [
    'no JSON {',
    '',
    'null',
    '[1]',
    '{"taken":1}',
    '{"taken":"x","v":"1","data":"{}"}',
    JSON.stringify({ ...good, data: 5 }),
    JSON.stringify({ ...good, taken: undefined }),
    JSON.stringify({ ...good, attempts: 'many' }),
    JSON.stringify(good)
  ]
  for (const [n, record] of records.entries()) {
    await space.redis.hset(retrying as string, `1-${n}`, record)
    await space.redis.zadd(retry as string, n, `1-${n}`)
  }
  // An invalid token must not stop them either.
  await space.redis.hset(retrying as string, '1-0#', 'a token', '1-1~', 'a token:1')
  const worker = await useApp(space, 'worker', {}, app => app.consume(fn.definition))
  await until('nothing waits', async () => (await space.redis.exists(retry as string)) === 0)
  expect(tried).toEqual([7])
  const { deadLetters } = await worker.app.streams.deadLetters.list(fn.name, '', 100)
  expect(deadLetters.map(({ code, data, redrivable }) => [code, data, redrivable])).toEqual(
    records.slice(0, -1).map(record => ['corrupt', record, false])
  )
  expect(deadLetters.map(({ messageId }) => messageId)).toEqual(deadLetters.map((_, n) => `1-${n}`))
  expect(notified).toEqual([])
  // The worker counts them after it has settled them.
  await until('they are counted', async () => (await corruptIn(worker, 'retry')) === 9)
  expect(await space.redis.exists(retrying as string)).toBe(0)
})

test('a dead letter with missing or unreadable fields can be listed, shown, redriven and discarded', async () => {
  const api = await useApp(space, 'api', { ADMIN_TOKEN })
  const dead = api.app.keys.dead('gone', 0)
  const all = {
    id: '5-5',
    v: '1',
    data: '{}',
    code: 'no',
    error: 'E',
    message: 'm',
    attempts: '1',
    taken: '1'
  }
  const times = { first_at: '1', last_at: '2' }
  const deadLetters = [
    { nothing: 'of it' },
    { ...all, first_at: 'yesterday', last_at: 'NaN' },
    { ...all, ...times, last_at: '99999999999999999999' },
    { ...all, ...times, last_at: '999999999999999' },
    { ...all, ...times, attempts: 'inf', taken: 'inf', first_at: 'inf' },
    { ...all, ...times, id: '6-6' }
  ]
  const ids: string[] = []
  for (const deadLetter of deadLetters)
    ids.push(`0:${await space.redis.xadd(dead, '*', ...Object.entries(deadLetter).flat())}`)
  const list = async () =>
    (await api.call({ url: '/admin/dead-letters?function=gone', headers })).json().dead_letters
  const listed = await list()
  expect(listed.map(({ id }: { id: string }) => id)).toEqual(ids)
  expect(listed.map(({ corrupt = false }) => corrupt)).toEqual([true, true, true, true, true, false])
  expect(listed[1]).toMatchObject({ first_at: null, last_at: null, message_id: '5-5' })
  expect(listed[4]).toMatchObject({ attempts: 0, first_at: null, last_at: expect.any(String) })
  expect(await corruptIn(api, 'dead_letter')).toBe(5)
  for (const [n, id] of ids.entries()) {
    const shown = await api.call({ url: `/admin/dead-letters/gone/${id}`, headers })
    expect([shown.statusCode, shown.json()]).toEqual([200, listed[n]])
  }
  const post = async (what: string, payload: object) =>
    (await api.call({ method: 'POST', url: `/admin/dead-letters/${what}`, payload, headers })).json()
  const reason = 'a test'
  expect(await post('discard', { function: 'gone', ids: ids.slice(1, 3), reason })).toEqual({ count: 2 })
  expect(await post('redrive', { function: 'gone' })).toEqual({ count: 4 })
  expect(await list()).toEqual([])
  const waiting = await space.redis.zrange(api.app.keys.retry('gone', 0), '0', '-1')
  expect(waiting.toSorted()).toEqual([ids[0]?.slice(2), '5-5', '6-6'].toSorted())
})

test('a queue that is deleted during a count counts as empty', async () => {
  const { app } = await useApp(space, 'api', { KEY_PREFIX: await useOtherPrefix(space, 'gone') })
  const { keys } = app
  const { redis } = app.stores
  const stream = keys.stream('placed', 0)
  let over = false
  const flicker = async () => {
    while (!over) {
      await space.redis.xgroup('CREATE', stream, 'g', '0', 'MKSTREAM')
      await space.redis.del(stream)
    }
  }
  const flickering = flicker()
  const readings: Promise<unknown>[] = []
  for (let n = 0; n < 500; n++) {
    readings.push(readQueue(redis, keys, ORDER_SERVICE_FUNCTION).catch(error => error))
    if (n % 10 === 0) await readings.at(-1)
  }
  const states = await Promise.all(readings)
  over = true
  await flickering
  expect(new Set(states.map(state => JSON.stringify(state)))).toEqual(
    new Set([JSON.stringify({ depth: 0, pending: 0, oldestSeconds: 0, retrying: 0 })])
  )
})
