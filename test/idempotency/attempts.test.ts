import { expect, test } from 'vitest'
import { problemType } from '../../schema/http/problem-types.ts'
import type { App } from '../../src/app.ts'
import { createIdempotentRequests } from '../../src/idempotency/idempotent-requests.ts'
import { useApp } from '../harness/app.ts'
import { markKeysInUse, NOWHERE, until, useSpace } from '../harness/space.ts'

const space = await useSpace()

/** What the route of these tests does: it counts its runs, and answers as a test decides. */
interface Work {
  runs: number
  answer: () => Promise<{ status: number }>
}

const working = (answer: Work['answer']): Work => ({ runs: 0, answer })
const routeOf = (work: Work) => (app: App) => {
  const config = { scope: 'orders:write', idempotencyKey: true } as const
  app.post('/work', { config, schema: { hide: true } }, async (_request, reply) => {
    work.runs++
    const { status } = await work.answer()
    return reply.code(status).header('location', '/work/1').send({ run: work.runs })
  })
}
const send = ({ app }: { app: App }, key?: string) =>
  app.inject({
    method: 'POST',
    url: '/work',
    headers: key === undefined ? {} : { 'idempotency-key': key }
  })
const rows = () => space.sql<{ status: number | null }>('SELECT status FROM idempotency_keys')
const forget = () => space.sql('DELETE FROM idempotency_keys')
const lapse = () =>
  space.sql('UPDATE idempotency_keys SET lease_until = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND')

test('a request whose first attempt is in progress gets 409, and then the answer', async () => {
  const ended = Promise.withResolvers<{ status: number }>()
  const work = working(() => ended.promise)
  const api = await useApp(space, 'api', {}, routeOf(work))
  const first = send(api, 'slow')
  await until('the first attempt runs', () => work.runs === 1)
  const busy = await send(api, 'slow')
  expect([busy.statusCode, busy.json().type]).toEqual([409, problemType('idempotency-key-in-use')])
  expect(busy.headers['retry-after']).toBe('1')
  ended.resolve({ status: 201 })
  const answer = await first
  const again = await send(api, 'slow')
  expect([again.statusCode, again.headers.location, again.body]).toEqual([201, '/work/1', answer.body])
  expect(work.runs).toBe(1)
})

test('of 20 concurrent requests with one key, in two processes, exactly one runs', async () => {
  const work = working(async () => ({ status: 200 }))
  const apis = [await useApp(space, 'api', {}, routeOf(work)), await useApp(space, 'api', {}, routeOf(work))]
  const sent = Array.from({ length: 20 }, (_, i) => send(apis[i % 2] as (typeof apis)[0], 'race'))
  const answers = await Promise.all(sent)
  expect(work.runs).toBe(1)
  for (const { statusCode, headers, body } of answers)
    expect([statusCode, statusCode === 200 ? body : headers['retry-after']]).toEqual(
      statusCode === 200 ? [200, '{"run":1}'] : [409, '1']
    )
  expect(
    answers.filter(({ statusCode, headers }) => statusCode === 200 && !headers['idempotent-replayed'])
  ).toHaveLength(1)
})

test('a request that failed in the service runs again', async () => {
  await forget()
  let status = 503
  const work = working(async () => {
    if (status === 500) throw new Error('a fault')
    return { status }
  })
  const api = await useApp(space, 'api', {}, routeOf(work))
  for (status of [503, 500, 200, 503]) await send(api, 'failed')
  expect(work.runs).toBe(3)
  expect(await rows()).toEqual([{ status: 200 }])
})

test('a client that disconnects gets the answer later', async () => {
  const ended = Promise.withResolvers<{ status: number }>()
  const work = working(() => ended.promise)
  const api = await useApp(space, 'api', {}, routeOf(work))
  await api.app.listen({ port: 0 })
  const { port } = api.app.server.address() as { port: number }
  const stop = new AbortController()
  const request = fetch(`http://127.0.0.1:${port}/work`, {
    method: 'POST',
    headers: { 'idempotency-key': 'gone' },
    signal: stop.signal
  })
  await until('the attempt runs', () => work.runs === 1)
  stop.abort()
  await expect(request).rejects.toThrow('aborted')
  ended.resolve({ status: 200 })
  const answer = await until('the answer is stored', async () => {
    const answer = await send(api, 'gone')
    return answer.statusCode === 200 && answer
  })
  expect(answer.headers['idempotent-replayed']).toBe('true')
  expect(work.runs).toBe(1)
})

test('a request of a process that stopped answering runs again after the lease, and only for the same request', async () => {
  const api = await useApp(space, 'api')
  const requests = createIdempotentRequests(api.app.stores.orders)
  const request = { tenant: 'default', caller: 'key:1', key: 'lost', fingerprint: 'a'.repeat(64) }
  const lost = await requests.begin(request)
  await expect(requests.begin(request)).rejects.toThrow('in progress')
  await lapse()
  await expect(requests.begin({ ...request, fingerprint: 'b'.repeat(64) })).rejects.toThrow('another route')
  const second = await requests.begin(request)
  if (!('attempt' in lost && 'attempt' in second)) throw new Error('an attempt was expected')
  // The late end of the lost attempt changes nothing.
  await lost.attempt.giveUp()
  await expect(requests.begin(request)).rejects.toThrow('in progress')
  const answer = { status: 200, headers: {}, body: 'second' }
  await second.attempt.finish(answer)
  await lost.attempt.finish({ ...answer, body: 'first' })
  expect(await requests.begin(request)).toEqual({ answer })
})

test('a process renews the leases of its requests in progress', async () => {
  const api = await useApp(space, 'api')
  const requests = createIdempotentRequests(api.app.stores.orders)
  const request = { tenant: 'default', caller: undefined, key: 'long', fingerprint: 'a'.repeat(64) }
  await requests.begin(request)
  await lapse()
  await requests.renew()
  await expect(requests.begin(request)).rejects.toThrow('in progress')
})

test('an answer that could not be stored is stored later', async () => {
  await forget()
  const api = await useApp(space, 'api')
  const requests = createIdempotentRequests(api.app.stores.orders)
  const request = { tenant: 'default', caller: undefined, key: 'unstored', fingerprint: 'a'.repeat(64) }
  const begun = await requests.begin(request)
  if (!('attempt' in begun)) throw new Error('an attempt was expected')
  const answer = { status: 200, headers: {}, body: 'done' }
  await space.sql('RENAME TABLE idempotency_keys TO idempotency_keys_elsewhere')
  await expect(begun.attempt.finish(answer)).rejects.toThrow()
  await space.sql('RENAME TABLE idempotency_keys_elsewhere TO idempotency_keys')
  await requests.renew()
  expect(await requests.begin(request)).toEqual({ answer })
})

test('an expired key is free, and expired rows are deleted in pieces', async () => {
  await forget()
  const work = working(async () => ({ status: 200 }))
  const api = await useApp(space, 'api', {}, routeOf(work))
  const expire = () =>
    space.sql('UPDATE idempotency_keys SET expires_at = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND')
  await send(api, 'expired')
  const [kept] = await space.sql<{ hours: number }>(
    'SELECT ROUND(TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), expires_at) / 3600) AS hours FROM idempotency_keys'
  )
  expect(Number(kept?.hours)).toBe(24)
  await expire()
  expect((await send(api, 'expired')).headers).not.toHaveProperty('idempotent-replayed')
  expect(work.runs).toBe(2)

  await expire()
  const values = Array.from({ length: 600 }, (_, i) => [
    String(i).padStart(64, '0'),
    'f',
    'a',
    '2020-01-01',
    '2020-01-01',
    '2020-01-01'
  ])
  await space.sql(
    'INSERT INTO idempotency_keys (id, fingerprint, attempt, created_at, lease_until, expires_at) VALUES ?',
    [values]
  )
  await send(api, 'kept')
  const requests = createIdempotentRequests(api.app.stores.orders)
  expect([await requests.deleteExpired(), await requests.deleteExpired()]).toEqual([true, false])
  expect(await rows()).toEqual([{ status: 200 }])
})

test('while MySQL is unavailable, a request with a key is refused, and one without a key runs', async () => {
  const work = working(async () => ({ status: 200 }))
  await markKeysInUse(space, space.env.KEY_PREFIX as string)
  const api = await useApp(space, 'api', { DB_PORT: NOWHERE }, routeOf(work))
  const refused = await send(api, 'unsafe')
  expect([refused.statusCode, refused.json().type]).toEqual([503, problemType('unavailable')])
  expect(work.runs).toBe(0)
  expect((await send(api)).statusCode).toBe(200)
  expect(work.runs).toBe(1)
})
