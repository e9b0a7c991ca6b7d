import { expect, test } from 'vitest'
import type { Delivery } from '../../schema/http/webhook.ts'
import { createDeliveryLog } from '../../src/webhooks/delivery-log.ts'
import { EndpointQueueFull } from '../../src/webhooks/errors.ts'
import { useApp } from '../harness/app.ts'
import { numbers, useQueues } from './queues.ts'

const { space, mysql, addEndpoint, addDeliveries, statusesOf } = await useQueues()
const RANGE = { from: '2026-01-01T00:00:00Z', to: '2099-01-01T00:00:00Z' }

const setStatus = (endpoint: string, status: string, rows: number) =>
  space.sql('UPDATE webhook_deliveries SET status = ? WHERE endpoint_id = ? ORDER BY id LIMIT ?', [
    status,
    endpoint,
    rows
  ])
const countWaiting = async (endpoint: string) =>
  (await statusesOf(endpoint)).filter(status => status === 'waiting').length

test('a redelivery is refused when as many deliveries wait as may wait, and drops none', async () => {
  const { id } = await addEndpoint('http://127.0.0.1:1/')
  await addDeliveries(id, numbers(0, 8))
  await setStatus(id, 'failed', 3)
  const log = createDeliveryLog(mysql, 6)
  const { deliveries } = await log.list(id, { status: 'failed', limit: 10 })
  const [first, second] = deliveries.map(delivery => delivery.id)
  expect(await log.redeliver(id, first ?? '')).toMatchObject({ status: 'waiting' })
  await expect(log.redeliver(id, second ?? '')).rejects.toThrow(EndpointQueueFull)
  await expect(log.redeliverRange(id, RANGE)).rejects.toThrow(EndpointQueueFull)
  // It waits already, so the number stays.
  expect(await log.redeliver(id, first ?? '')).toMatchObject({ status: 'waiting' })
  expect(await countWaiting(id)).toBe(6)
  // Nothing in the range, so nothing to refuse.
  expect(await log.redeliverRange(id, { ...RANGE, status: ['delivered'] })).toEqual({
    redelivered: 0,
    next: null
  })
})

test('a redelivery of a range ends early, and continues when fewer deliveries wait', async () => {
  const { id } = await addEndpoint('http://127.0.0.1:1/')
  await addDeliveries(id, numbers(0, 2500))
  await setStatus(id, 'failed', 2500)
  const log = createDeliveryLog(mysql, 2200)
  const { redelivered, next } = await log.redeliverRange(id, RANGE)
  expect([redelivered, await countWaiting(id)]).toEqual([2000, 2000])
  const rest = { ...RANGE, cursor: next ?? '' }
  await expect(log.redeliverRange(id, rest)).rejects.toThrow(EndpointQueueFull)
  await setStatus(id, 'delivered', 2000)
  expect(await log.redeliverRange(id, rest)).toEqual({ redelivered: 500, next: null })
})

test('a test event and a redelivery get 409 while 100,000 deliveries wait', { timeout: 60_000 }, async () => {
  const { call } = await useApp(space, 'api')
  const { id } = await addEndpoint('http://127.0.0.1:1/')
  const post = (path: string, payload?: object) =>
    call({ method: 'POST', url: `/webhook-endpoints/${id}${path}`, ...(payload && { payload }) })
  const tested = (await post('/test')).json<Delivery>()
  await setStatus(id, 'failed', 1)
  const digits =
    '(SELECT 0 n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)'
  await space.sql(
    `INSERT INTO webhook_deliveries (endpoint_id, message_id, type, occurred_at, status, due_at, payload)
     SELECT ?, CONCAT_WS('-', a.n, b.n, c.n, d.n, e.n), 'order.completed', UTC_TIMESTAMP(3), 'waiting', UTC_TIMESTAMP(3), '{}'
     FROM ${digits} a, ${digits} b, ${digits} c, ${digits} d, ${digits} e`,
    [id]
  )
  for (const [path, body] of [
    ['/test'],
    [`/deliveries/${tested.id}/redeliver`],
    ['/redeliver', RANGE]
  ] as const)
    expect((await post(path, body)).json(), path).toMatchObject({
      status: 409,
      type: 'urn:orderstream:problem:webhook-queue-full'
    })
  await space.sql(
    "UPDATE webhook_deliveries SET status = 'failed' WHERE endpoint_id = ? AND status = 'waiting' LIMIT 1",
    [id]
  )
  expect((await post('/test')).statusCode).toBe(202)
})
