import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createAddressGuard } from '../../src/webhooks/address-guard.ts'
import { createQueue } from '../../src/webhooks/deliver/queue.ts'
import { createSender } from '../../src/webhooks/deliver/send.ts'
import { until } from '../harness/space.ts'
import { idOf, numbers, SHORT, TENANT, useQueues } from './queues.ts'
import { useReceiver } from './receiver.ts'

const { space, mysql, table, addEndpoint, addDeliveries, rowsOf, statusesOf, isDone, start } =
  await useQueues()

describe('the dispatcher', () => {
  test('does not delay the others by a delivery that keeps failing', async () => {
    const { url } = await useReceiver(({ body }) => (body.includes('order-0') ? 500 : 200))
    const { id } = await addEndpoint(url)
    await addDeliveries(id, [0])
    start({ pauses: { ...SHORT, retry: [20] } })
    await until('it is tried again and again', async () => ((await rowsOf(id))[0]?.attempts ?? 0) > 4)
    await addDeliveries(id, [1, 2])
    await until('the others are delivered', async () => {
      const [, ...others] = await statusesOf(id)
      return others.every(status => status === 'delivered')
    })
    expect((await statusesOf(id))[0]).toBe('waiting')
  })

  test('parks a dead endpoint, probes it, keeps its backlog, and catches up in order of time', async () => {
    let alive = false
    let dead = 0
    const order: number[] = []
    const { url } = await useReceiver(({ body }) => {
      if (!alive) {
        dead++
        return 503
      }
      order.push(Number(/order-(\d+)/.exec(body)?.[1]))
      return 200
    })
    const { id } = await addEndpoint(url)
    await addDeliveries(id, numbers(0, 40))
    start()
    await until('it is parked', async () => (await table.read(TENANT, id)).parked_until !== null)
    await until('it is probed', async () => (await table.read(TENANT, id)).failures >= 6)
    expect(dead).toBeLessThan(15)
    expect((await statusesOf(id)).every(status => status === 'waiting')).toBe(true)
    await addDeliveries(id, numbers(40, 60), 1000)
    alive = true
    await until('all are delivered', () => isDone(id))
    expect(await table.read(TENANT, id)).toMatchObject({ failures: 0, parked_until: null })
    expect(order.toSorted((a, b) => a - b)).toEqual(numbers(0, 60))
    // After the probe, up to four are in flight, and one may overtake another. A random order would be 20 places off.
    const [, ...rest] = order
    const places = rest.reduce((sum, n, index) => sum + Math.abs(n - index), 0)
    expect(places / rest.length, order.join()).toBeLessThan(5)
  })

  test('delays no endpoint by slow, dead and silent ones', async () => {
    const fast = await useReceiver(() => 200)
    const slow = await useReceiver(async () => {
      await delay(8000)
      return 200
    })
    const silent = await useReceiver(() => undefined)
    const others = [
      ...Array.from({ length: 20 }, () => slow.url),
      ...Array.from({ length: 10 }, () => silent.url),
      ...Array.from({ length: 5 }, () => 'http://127.0.0.1:1/')
    ]
    const endpoints = await Promise.all(others.map(addEndpoint))
    for (const { id } of endpoints) await addDeliveries(id, numbers(0, 50))
    const { id } = await addEndpoint(fast.url)
    const { dispatcher } = start({ sender: { timeout: 10_000 } })
    await until(
      'the slow endpoints are busy',
      () => slow.received.length >= 20 && silent.received.length >= 10
    )
    const latencies: number[] = []
    for (let n = 0; n < 30; n++) {
      const began = performance.now()
      await addDeliveries(id, [n], 0)
      dispatcher.wake()
      await until(`delivery ${n} has arrived`, () => fast.received.length > n)
      latencies.push(performance.now() - began)
    }
    expect(fast.received.length).toBe(30)
    expect(Math.max(...latencies)).toBeLessThan(5000)
    // Each slow endpoint has one request in flight.
    expect(slow.received.length).toBeLessThan(20 * 3)
  })

  test('takes over the deliveries of a process that stopped without a word, after its lease', async () => {
    let held = 0
    const { url, ids } = await useReceiver(() => (held++ === 0 ? undefined : 200))
    const { id } = await addEndpoint(url)
    await addDeliveries(id, numbers(0, 3))
    // This process is killed in the middle of a delivery: it never renews or releases its lease.
    const queue = createQueue(mysql, 'killed')
    expect(await queue.claim(id, 500)).toMatchObject({ id })
    const [first = ''] = await queue.next(id, 1, false)
    const taken = await queue.read(id, first)
    const sender = createSender({ guard: createAddressGuard(true), timeout: 100 })
    await sender.send(
      { url, headers: { 'webhook-id': String(taken?.message_id) }, body: '{}' },
      new AbortController().signal
    )
    start()
    await until('all are delivered', () => isDone(id))
    expect(ids()).toEqual([idOf(0), ...ids().slice(1)])
    expect(ids().filter(each => each === idOf(0))).toHaveLength(2)
    // The process that has lost its lease gets nothing, and cannot end the lease of the other.
    expect(await queue.next(id, 10, true)).toEqual([])
    expect(await queue.read(id, first)).toBeUndefined()
  })

  test('sends each delivery once with several processes', async () => {
    const { url, ids } = await useReceiver(() => 200)
    const endpoints = await Promise.all(numbers(0, 5).map(() => addEndpoint(url)))
    for (const { id } of endpoints) await addDeliveries(id, numbers(0, 40))
    for (let process = 0; process < 3; process++) start()
    await until('all are delivered', async () => {
      const [row] = await space.sql<{ open: number }>(
        "SELECT COUNT(*) AS open FROM webhook_deliveries WHERE status = 'waiting'"
      )
      return row?.open === 0
    })
    expect(ids()).toHaveLength(200)
  })

  test('cuts off attempts when it must stop, and does not count them', async () => {
    const silent = await useReceiver(() => undefined)
    const { id } = await addEndpoint(silent.url)
    await addDeliveries(id, [0])
    const { dispatcher } = start()
    await until('an attempt is in flight', () => silent.received.length === 1)
    const began = performance.now()
    await dispatcher.stop()
    expect(performance.now() - began).toBeLessThan(5000)
    expect((await rowsOf(id))[0]).toMatchObject({ status: 'waiting', attempts: 0 })
    const [row] = await space.sql<{ owner: string | null }>(
      'SELECT owner FROM webhook_endpoints WHERE id = ?',
      [id]
    )
    expect(row?.owner).toBeNull()
  })
})
