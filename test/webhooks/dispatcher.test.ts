import { describe, expect, test } from 'vitest'
import { verifyWebhook } from '../../clients/typescript/src/index.ts'
import { PAUSES } from '../../src/webhooks/deliver/pauses.ts'
import { newWebhookSecret } from '../../src/webhooks/signature.ts'
import { until } from '../harness/space.ts'
import { idOf, numbers, SHORT, TENANT, useQueues } from './queues.ts'
import { useReceiver, verify } from './receiver.ts'

const { space, table, addEndpoint, addDeliveries, rowsOf, statusesOf, isDone, start } = await useQueues()

describe('the dispatcher', () => {
  test('delivers what is due, signed, and logs the code and the time', async () => {
    const { url, received } = await useReceiver(() => 202)
    const { id, secret } = await addEndpoint(url)
    await addDeliveries(id, numbers(0, 30))
    const { outcomes } = start()
    await until('all are delivered', () => isDone(id))
    expect(received).toHaveLength(30)
    for (const request of received) expect(verify(request, secret)).toMatchObject({ type: 'order.completed' })
    expect((await rowsOf(id))[0]).toMatchObject({ attempts: 1, response_code: 202, error: null })
    expect((await rowsOf(id))[0]?.duration_ms).toBeGreaterThanOrEqual(0)
    await until('all are counted', () => outcomes.length === 30)
    expect(new Set(outcomes)).toEqual(new Set(['delivered']))
  })

  test('signs with both secrets during a rotation, and with the new one after it', async () => {
    const { url, received } = await useReceiver(() => 200)
    const { id, secret } = await addEndpoint(url)
    const next = newWebhookSecret()
    await table.rotate(TENANT, id, next, 60_000)
    await addDeliveries(id, [0])
    start()
    const [during] = await until('it is received', () => received.length === 1 && received)
    if (!during) throw new Error('nothing was received')
    for (const each of [secret, next]) {
      verify(during, each)
      await verifyWebhook(each, during.headers, during.body)
    }
    await space.sql('UPDATE webhook_endpoints SET previous_until = UTC_TIMESTAMP(3) WHERE id = ?', [id])
    await addDeliveries(id, [1])
    const [, after] = await until('the second is received', () => received.length === 2 && received)
    if (!after) throw new Error('nothing was received')
    verify(after, next)
    expect(() => verify(after, secret)).toThrow()
  })

  test('tries a delivery again with growing pauses and the same id, until it fails for good', async () => {
    const { url, received, ids } = await useReceiver(() => 500)
    const { id } = await addEndpoint(url)
    await addDeliveries(id, [7])
    const { outcomes } = start({ pauses: { ...SHORT, retryFor: 2000 } })
    await until('it has failed', async () => (await statusesOf(id))[0] === 'failed')
    expect(received.length).toBeGreaterThanOrEqual(4)
    expect(new Set(ids())).toEqual(new Set([idOf(7)]))
    const [a = 0, b = 0, c = 0, d = 0] = received.map(({ at }) => at)
    expect([b - a >= 50, c - b >= 100, d - c >= 190]).toEqual([true, true, true])
    expect((await rowsOf(id))[0]).toMatchObject({ attempts: received.length, response_code: 500 })
    expect(outcomes.at(-1)).toBe('failed')
    // One failing delivery does not park its endpoint.
    expect(await table.read(TENANT, id)).toMatchObject({ failures: 1, parked_until: null })
  })

  test('disables an endpoint that answers 410', async () => {
    const { url, received } = await useReceiver(() => 410)
    const { id } = await addEndpoint(url)
    await addDeliveries(id, [0, 1])
    start()
    await until('it is disabled', async () => !(await table.read(TENANT, id)).enabled)
    expect(await table.read(TENANT, id)).toMatchObject({ disabled_reason: 'gone' })
    expect(await statusesOf(id)).toEqual(['failed', 'waiting'])
    await table.change(TENANT, id, { enabled: true })
    await until('the next one is tried', () => received.length === 2)
  })

  test('waits as long as Retry-After asks, within its limit', async () => {
    const times: number[] = []
    const { url } = await useReceiver(({ at }, response) => {
      times.push(at)
      if (times.length > 1) return 200
      response.writeHead(429, { 'retry-after': '86400' }).end()
      return undefined
    })
    const { id } = await addEndpoint(url)
    await addDeliveries(id, [0])
    start()
    await until('it is delivered', async () => (await statusesOf(id))[0] === 'delivered')
    const [first = 0, second = 0] = times
    expect(second - first).toBeGreaterThanOrEqual(990)
  })

  test('has retries over three days, and parks an endpoint for at most an hour and its jitter', () => {
    expect(PAUSES.retryFor).toBe(3 * 86_400_000)
    expect(PAUSES.retry.toSorted((a, b) => a - b)).toEqual(PAUSES.retry)
    expect(PAUSES.retry.reduce((sum, pause) => sum + pause, 0)).toBeGreaterThanOrEqual(PAUSES.retryFor)
    expect(PAUSES.park.at(-1)).toBe(3_600_000)
  })
})
