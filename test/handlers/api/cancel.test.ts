import { beforeAll, describe, expect, test } from 'vitest'
import { readAudit } from '../../../src/orders/audit/audit.ts'
import { PLACED } from '../../../src/orders/names.ts'
import { complete, fail } from '../../../src/orders/pricing.ts'
import { fieldOf } from '../../../src/streams/group/delivery.ts'
import { openApp, type TestApp, useApp } from '../../harness/app.ts'
import { NOWHERE, until, useSpace } from '../../harness/space.ts'
import { writeRow } from '../../orders/write-row.ts'

const space = await useSpace()
/** The least number of races between a cancel and a worker. */
const RACES = Number(process.env.CANCEL_RACES ?? 200)
let api: TestApp

beforeAll(async () => {
  api = await openApp(space, 'api')
  await until('the processes are known', async () => api.app.processes.oldestRelease() !== undefined)
  return () => api.close()
})

const cancel = (id: string, { call } = api) => call({ method: 'POST', url: `/orders/${id}/cancel` })
const read = async (id: string) => (await api.call(`/orders/${id}`)).json()
const audit = ({ app } = api) => readAudit(app.stores.redis, app.stores.orders, app.keys)
const settled = () =>
  until(
    'all messages are settled',
    async () => (await space.redis.xlen(api.app.keys.stream(PLACED, 0))) === 0
  )
const eventsOf = async (id: string) => {
  const entries = await space.redis.xrange(api.app.keys.stream('events', 0), '-', '+')
  const events = entries.map(([, fields]) => JSON.parse(fieldOf(fields, 'data')))
  return events.filter(({ subject }) => subject === id)
}

describe('POST /orders/:order_id/cancel', () => {
  test('permanently cancels an order that waits', async () => {
    const before = await audit()
    const fields = { amount: 10, currency: 'EUR', metadata: { channel: 'web' } }
    await api.post({ order_id: 'waits', ...fields })
    const cancelled = await cancel('waits')
    expect([cancelled.statusCode, cancelled.json()]).toEqual([
      200,
      expect.objectContaining({ order_id: 'waits', ...fields, tax: null, total: null, status: 'cancelled' })
    ])
    expect((await cancel('waits')).body).toBe(cancelled.body)
    expect((await api.call('/orders/waits')).body).toBe(cancelled.body)
    expect((await api.post({ order_id: 'waits', ...fields })).body).toBe(cancelled.body)
    expect((await api.post({ order_id: 'waits', amount: 11 })).statusCode).toBe(409)
    // Its message still waits.
    const waiting = await audit()
    expect(waiting).toMatchObject({
      in_flight: before.in_flight + 1,
      cancelled: before.cancelled,
      difference: 0
    })

    const worker = await openApp(space, 'worker')
    await settled()
    const events = await until('the event is published', async () => {
      const found = await eventsOf('waits')
      return found.length > 0 && found
    })
    await worker.close()
    expect(new Set(events.map(({ id, type }) => `${id} ${type}`))).toEqual(
      new Set(['waits:cancelled order.cancelled'])
    )
    expect(events[0].data).toEqual(cancelled.json())
    expect(await read('waits')).toEqual(cancelled.json())
    expect(await audit()).toMatchObject({
      in_flight: before.in_flight,
      cancelled: before.cancelled + 1,
      duplicates: before.duplicates,
      difference: 0
    })
  })

  test('cancels an order that was accepted in MySQL', async () => {
    const before = await audit()
    const spilling = await useApp(space, 'api', { REDIS_PORT: NOWHERE })
    await spilling.post({ order_id: 'spilled', amount: 10 })
    expect((await cancel('spilled')).json()).toMatchObject({ status: 'cancelled', amount: 10 })
    const worker = await openApp(space, 'worker')
    await until('the event is published', async () => (await eventsOf('spilled')).length > 0)
    await worker.close()
    expect(await read('spilled')).toMatchObject({ status: 'cancelled', total: null })
    expect(await audit()).toMatchObject({
      cancelled: before.cancelled + 1,
      completed: before.completed,
      difference: 0
    })
  })

  test('refuses an order that is completed or failed, an unknown one and an invalid id', async () => {
    const placed = { amount: '10', tax_rate: '0.18', accepted_at: '2026-01-31T12:00:00.000Z' }
    const at = '2026-01-31T12:00:01.000Z'
    await writeRow(api, complete({ order_id: 'done', ...placed }, at), { messageId: 'of-done' })
    await writeRow(api, fail({ order_id: 'failed', ...placed }, { code: 'x', detail: 'y' }, at), {
      messageId: 'of-failed'
    })
    for (const [id, status] of [
      ['done', 'completed'],
      ['failed', 'failed']
    ] as const) {
      const refused = await cancel(id)
      expect([refused.statusCode, refused.json().type]).toEqual([409, 'urn:orderstream:problem:order-final'])
      expect(refused.json().detail).toContain(`is ${status}`)
    }
    expect((await cancel('unknown')).statusCode).toBe(404)
    expect((await cancel('a b')).statusCode).toBe(400)
  })

  test('needs both stores, and works only when all processes support cancelled orders', async () => {
    await api.post({ order_id: 'kept', amount: 10 })
    for (const env of [{ REDIS_PORT: NOWHERE }, { DB_PORT: NOWHERE }]) {
      const without = await useApp(space, 'api', env)
      expect((await cancel('kept', without)).statusCode).toBe(503)
    }
    const { keys, processes } = api.app
    const older = { mode: 'worker', lease: 1000, functions: [], consumes: [], taxRate: 0.18, database: 'x' }
    await space.redis.hset(keys.processes(), 'older', `${Date.now() + 600_000} ${JSON.stringify(older)}`)
    await until('the older process is known', async () => processes.oldestRelease() === 1)
    expect((await cancel('kept')).statusCode).toBe(503)
    await space.redis.hdel(keys.processes(), 'older')
    await until('the older process is gone', async () => processes.oldestRelease() !== 1)
    expect((await cancel('kept')).statusCode).toBe(200)
  })

  test('fails if a worker completes the order first, so an order is never both cancelled and completed', {
    timeout: 120_000 + 100 * RACES
  }, async () => {
    const worker = await openApp(space, 'worker')
    await settled()
    const before = await audit()
    const ids: string[] = []
    const statuses: number[] = []
    // The cancels come later in each of five rounds, and again, until both sides have won.
    for (let round = 0; new Set(statuses).size < 2 || ids.length < RACES; round++) {
      const some = Array.from({ length: 200 }, (_, n) => `race-${round}-${n}`)
      const answers = some.map(async (id, n) => {
        await api.post({ order_id: id, amount: 10 })
        await new Promise(resolve => setTimeout(resolve, (n % 20) * ((round % 5) + 1)))
        return (await cancel(id)).statusCode
      })
      ids.push(...some)
      statuses.push(...(await Promise.all(answers)))
    }
    await settled()
    const won = statuses.filter(status => status === 200).length
    expect(statuses.every(status => status === 200 || status === 409)).toBe(true)
    for (const [n, id] of ids.entries())
      expect([id, (await read(id)).status]).toEqual([id, statuses[n] === 200 ? 'cancelled' : 'completed'])
    await worker.close()
    const after = await audit()
    expect(after).toMatchObject({
      cancelled: before.cancelled + won,
      completed: before.completed + ids.length - won,
      in_flight: 0,
      difference: before.difference
    })
    expect(after.duplicates).toBe(before.duplicates)
  })
})
