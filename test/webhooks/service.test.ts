import { describe, expect, test } from 'vitest'
import { verifyWebhook } from '../../clients/typescript/src/index.ts'
import type { Order } from '../../schema/http/order.ts'
import type { Delivery, DeliveryPage, IssuedWebhookEndpoint } from '../../schema/http/webhook.ts'
import { useApp } from '../harness/app.ts'
import { inParallel, postOrder, type Service, startService } from '../harness/service.ts'
import { type Space, until, useSpace } from '../harness/space.ts'
import { type Received, useReceiver, verify } from './receiver.ts'

const space = await useSpace()
const SETTINGS = { WEBHOOK_ALLOW_PRIVATE: 'true', LEASE_MS: '1000', STREAM_PARTITIONS: '3' }

const request = async <T>({ url }: Pick<Service, 'url'>, method: string, path: string, body?: object) => {
  const answer = await fetch(`${url}/webhook-endpoints${path}`, {
    method,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  })
  return (await answer.json()) as T
}
const create = (api: Service, url: string, events?: string[]) =>
  request<IssuedWebhookEndpoint>(api, 'POST', '', { url, ...(events && { events }) })
const groupsOf = async ({ env, redis }: Space) => {
  const found = await redis.xinfo('GROUPS', `{${env.KEY_PREFIX}:0}:events`).catch(() => [])
  return found as unknown[]
}

describe('webhooks', () => {
  test('cost nothing until there is an endpoint, which then receives every order after its creation', async () => {
    const api = await startService(space, 'api', SETTINGS)
    const worker = await startService(space, 'worker', SETTINGS)
    const before = Array.from({ length: 5 }, (_, n) => `before-${n}`)
    await inParallel(before, 5, async id => void (await postOrder(api.url, id, 1)))
    await until('they are completed', async () => {
      const [row] = await space.sql<{ n: number }>(
        "SELECT COUNT(*) AS n FROM orders WHERE status = 'completed'"
      )
      return row?.n === before.length
    })
    expect(await groupsOf(space)).toEqual([])

    const { url, received, ids } = await useReceiver(() => 200)
    const { id, secret } = await create(api, url)
    const orders = Array.from({ length: 40 }, (_, n) => `order-${n}`)
    await inParallel(orders, 8, async order => void (await postOrder(api.url, order, '12.5')))
    await until('all events have arrived', () => new Set(ids()).size >= orders.length)
    expect([...new Set(ids())].sort()).toEqual(orders.map(order => `${order}:completed`).sort())
    for (const each of received) {
      const { type, data } = verify(each, secret ?? '')
      const order = data as Order
      expect(type).toBe('order.completed')
      const known = await (await fetch(`${api.url}/orders/${order.order_id}`)).json()
      expect(order).toEqual(known)
      const event = await verifyWebhook(secret ?? '', each.headers, each.body)
      expect(event).toMatchObject({ id: each.headers['webhook-id'], type, data })
    }
    const logged = await until('all are in the log', async () => {
      const page = await request<DeliveryPage>(api, 'GET', `/${id}/deliveries?limit=100&status=delivered`)
      return page.deliveries.length === orders.length && page.deliveries
    })
    expect(logged[0]).toMatchObject({ response_code: 200, attempts: 1, error: null, next_attempt_at: null })

    const tested = await request<Delivery>(api, 'POST', `/${id}/test`)
    expect(tested).toMatchObject({ type: 'webhook.test', status: 'waiting' })
    await until('the test event has arrived', () => ids().includes(tested.webhook_id))
    const last = received.at(-1) as Received
    expect(verify(last, secret ?? '')).toMatchObject({ type: 'webhook.test', data: {} })
    const event = await verifyWebhook(secret ?? '', last.headers, last.body)
    expect(event).toMatchObject({ id: tested.webhook_id, type: 'webhook.test', data: {} })
    expect(await request(api, 'POST', `/${id}/deliveries/${tested.id}/redeliver`)).toMatchObject({
      attempts: 0
    })
    await until('it has arrived again', () => ids().filter(each => each === tested.webhook_id).length === 2)
    expect((await worker.end('SIGTERM')).code).toBe(0)
    await request(api, 'DELETE', `/${id}`)
  })

  test('arrive at least once when workers are killed in the middle of deliveries', async () => {
    const api = await startService(space, 'api', SETTINGS)
    let holds = true
    const held: (() => void)[] = []
    const { url, ids } = await useReceiver(async () => {
      if (holds) await new Promise<void>(resolve => held.push(resolve))
      return 200
    })
    const { id } = await create(api, url, ['order.completed'])
    const orders = Array.from({ length: 20 }, (_, n) => `killed-${n}`)
    const first = await startService(space, 'worker', SETTINGS)
    await inParallel(orders, 5, async order => void (await postOrder(api.url, order, 1)))
    await until('a delivery is in flight', () => held.length > 0)
    await first.end('SIGKILL')
    holds = false
    for (const release of held) release()
    await startService(space, 'worker', SETTINGS)
    await until('all events have arrived', () => new Set(ids()).size === orders.length)
    await until('all are logged', async () => {
      const page = await request<DeliveryPage>(api, 'GET', `/${id}/deliveries?limit=100&status=delivered`)
      return page.deliveries.length === orders.length
    })
    expect(ids().length).toBeGreaterThan(orders.length)
  })

  test('leave the log a week after their end, and at once with their endpoint', async () => {
    const worker = await useApp(space, 'worker', { ...SETTINGS })
    const [row] = await space.sql<{ id: string; endpoint_id: string }>(
      'SELECT * FROM webhook_deliveries LIMIT 1'
    )
    await space.sql('UPDATE webhook_deliveries SET due_at = due_at - INTERVAL 8 DAY WHERE id = ?', [row?.id])
    while (await worker.app.webhooks.purgeLog());
    expect(await space.sql('SELECT 1 FROM webhook_deliveries WHERE id = ?', [row?.id])).toEqual([])
    const [left] = await space.sql<{ n: number }>('SELECT COUNT(*) AS n FROM webhook_deliveries')
    expect(left?.n).toBeGreaterThan(0)
    await space.sql("UPDATE webhook_endpoints SET state = 'deleted', updated_at = '2026-01-01'")
    while (await worker.app.webhooks.purgeLog());
    expect(await space.sql('SELECT 1 FROM webhook_deliveries')).toEqual([])
    expect(await space.sql('SELECT 1 FROM webhook_endpoints')).toEqual([])
  })
})
