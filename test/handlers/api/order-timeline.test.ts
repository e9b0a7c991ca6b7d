import { expect, test } from 'vitest'
import { completeSpilled } from '../../../src/orders/recover/complete-spilled.ts'
import { publishOutbox } from '../../../src/orders/recover/publish-outbox.ts'
import { openApp, type TestApp, useApp } from '../../harness/app.ts'
import { NOWHERE, until, useSpace } from '../../harness/space.ts'

const space = await useSpace()
const TOKEN = 'a-token-for-the-tests'

const timeline = async ({ call }: TestApp, id: string) => {
  const answer = await call(`/orders/${id}/events`)
  expect(answer.statusCode).toBe(200)
  expect(answer.json().order_id).toBe(id)
  return answer.json().events as { type: string; time: string; request_id: string | null }[]
}
const typesOf = (events: { type: string }[]) => events.map(({ type }) => type)
const isFinal = (api: TestApp, id: string, status: string) =>
  until(`${id} is ${status}`, async () => (await api.call(`/orders/${id}`)).json().status === status)
const send = (api: TestApp, id: string) =>
  api.call({
    method: 'POST',
    url: '/orders',
    payload: { order_id: id, amount: 10 },
    headers: { 'x-request-id': `sent-${id}` }
  })

test('the timeline of an order shows its acceptance, and then its completion', async () => {
  const api = await useApp(space, 'api')
  await send(api, 'plain')
  const document = (await api.call('/orders/plain')).json()
  expect(await timeline(api, 'plain')).toEqual([
    { type: 'accepted', time: document.created_at, request_id: null }
  ])

  await useApp(space, 'worker')
  await isFinal(api, 'plain', 'completed')
  const { processed_at } = (await api.call('/orders/plain')).json()
  expect(await timeline(api, 'plain')).toEqual([
    { type: 'accepted', time: document.created_at, request_id: 'sent-plain' },
    { type: 'completed', time: processed_at, request_id: 'sent-plain' }
  ])
  expect(await space.sql("SELECT * FROM order_timeline WHERE order_id = 'plain'")).toEqual([])
  expect((await api.call('/orders/unknown/events')).statusCode).toBe(404)
  expect((await api.call('/orders/a%20b/events')).statusCode).toBe(400)
})

test('it shows each failed attempt, the failure, and the redrive with its request', {
  timeout: 60_000
}, async () => {
  const api = await useApp(space, 'api', { ADMIN_TOKEN: TOKEN })
  await useApp(space, 'worker')
  const refuse =
    "BEFORE INSERT ON orders FOR EACH ROW IF NEW.order_id = 'odd' AND NEW.status = 'completed' THEN SIGNAL SQLSTATE '45000'; END IF"
  await space.sql(`CREATE TRIGGER refuses ${refuse}`)
  await send(api, 'odd')
  await isFinal(api, 'odd', 'failed')
  const failed = await timeline(api, 'odd')
  expect(typesOf(failed)).toEqual(['accepted', ...Array.from({ length: 7 }, () => 'retried'), 'failed'])
  expect(failed.slice(1, 8)).toMatchObject(Array.from({ length: 7 }, (_, n) => ({ attempt: n + 1 })))
  expect(new Set(failed.map(({ request_id }) => request_id))).toEqual(new Set(['sent-odd']))
  expect(failed.at(-1)).toMatchObject({ failure: { code: 'exhausted' } })
  expect(failed.map(({ time }) => time)).toEqual(failed.map(({ time }) => time).toSorted())

  await space.sql('DROP TRIGGER refuses')
  const redriven = await until('its dead letter is redriven', async () => {
    const answer = await api.call({
      method: 'POST',
      url: '/admin/dead-letters/redrive',
      headers: { authorization: `Bearer ${TOKEN}`, 'x-request-id': 'redriven-odd' },
      payload: { function: 'process-orders', reason: 'the trigger is gone' }
    })
    expect(answer.statusCode).toBe(200)
    return answer.json().count === 1
  })
  expect(redriven).toBe(true)
  await isFinal(api, 'odd', 'completed')
  const whole = await timeline(api, 'odd')
  expect(typesOf(whole)).toEqual([...typesOf(failed), 'redriven', 'completed'])
  expect(whole.slice(0, failed.length)).toEqual(failed)
  expect(whole.at(-2)).toMatchObject({ request_id: 'redriven-odd' })
  expect(whole.at(-1)).toMatchObject({ request_id: 'sent-odd' })
})

test('it shows a cancel with its request', async () => {
  const api = await useApp(space, 'api')
  await until('the processes are known', async () => api.app.processes.oldestRelease() !== undefined)
  await send(api, 'taken-back')
  const cancel = () =>
    api.call({
      method: 'POST',
      url: '/orders/taken-back/cancel',
      headers: { 'x-request-id': 'cancels' }
    })
  const { updated_at } = (await cancel()).json()
  const cancelled = { type: 'cancelled', time: updated_at, request_id: 'cancels' }
  expect((await timeline(api, 'taken-back')).slice(1)).toEqual([cancelled])
  await cancel()
  await useApp(space, 'worker')
  await until('its message is settled', async () => {
    const [row] = await space.sql<{ message_id: string | null }>(
      "SELECT message_id FROM orders WHERE order_id = 'taken-back'"
    )
    return row?.message_id !== null
  })
  expect(await timeline(api, 'taken-back')).toEqual([
    expect.objectContaining({ type: 'accepted', request_id: 'sent-taken-back' }),
    cancelled
  ])
})

test('it shows the attempts of a spilled order', async () => {
  const api = await useApp(space, 'api')
  const spilling = await openApp(space, 'api', { REDIS_PORT: NOWHERE })
  await send(spilling, 'spilled')
  await spilling.close()
  const { orders: mysql, redis } = api.app.stores
  await space.sql(
    "ALTER TABLE orders ADD CONSTRAINT odd CHECK (status <> 'completed' OR order_id <> 'spilled')"
  )
  expect((await completeSpilled(mysql)).retrying.size).toBe(1)
  await space.sql("UPDATE spill_attempts SET attempts = 7, due_at = '2026-01-31' WHERE order_id = 'spilled'")
  expect((await completeSpilled(mysql)).failed.size).toBe(1)
  await publishOutbox({ mysql, redis, keys: api.app.keys, toPublication: api.app.orders.toPublication })
  const events = await timeline(api, 'spilled')
  expect(typesOf(events)).toEqual(['accepted', 'retried', 'failed'])
  expect(new Set(events.map(({ request_id }) => request_id))).toEqual(new Set(['sent-spilled']))
})

test('a timeline needs MySQL, and needs Redis only for an order without a row', async () => {
  const api = await useApp(space, 'api')
  const worker = await openApp(space, 'worker')
  await send(api, 'done')
  await isFinal(api, 'done', 'completed')
  await worker.close()
  await send(api, 'waits')
  const withoutRedis = await useApp(space, 'api', { REDIS_PORT: NOWHERE })
  expect(typesOf(await timeline(withoutRedis, 'done'))).toEqual(['accepted', 'completed'])
  expect((await withoutRedis.call('/orders/waits/events')).statusCode).toBe(503)
  const withoutMysql = await useApp(space, 'api', { DB_PORT: NOWHERE })
  expect((await withoutMysql.call('/orders/done/events')).statusCode).toBe(503)
})
