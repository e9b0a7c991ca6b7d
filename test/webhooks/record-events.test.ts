import { describe, expect, test } from 'vitest'
import { createEventRecorder } from '../../src/webhooks/record-events.ts'
import { idOf, numbers, TENANT, useQueues } from './queues.ts'

const { mysql, table, addEndpoint, rowsOf, statusesOf } = await useQueues()

const event = (n: number, tenant?: string) => ({
  body: {
    specversion: '1.0' as const,
    id: idOf(n),
    source: '/orders',
    type: 'order.completed' as const,
    subject: `order-${n}`,
    time: new Date(Date.UTC(2026, 0, 1) + n).toISOString(),
    datacontenttype: 'application/json' as const,
    data: { order_id: `order-${n}` } as never,
    ...(tenant !== undefined && { tenant })
  }
})
const recorder = (cap: number, dropped: number[] = []) =>
  createEventRecorder({
    mysql: mysql,
    cap,
    onRecorded: () => {},
    onDropped: count => dropped.push(count)
  })

describe('the queue of an endpoint', () => {
  test('has each event of its tenant once, of the types that it asks for', async () => {
    const { id } = await addEndpoint('http://127.0.0.1:1/')
    const failures = await addEndpoint('http://127.0.0.1:1/')
    await table.change(TENANT, failures.id, { events: ['order.failed'] })
    const record = recorder(100)
    await record([event(0), event(1), event(0), event(2, 'other')])
    await record([event(1), event(3)])
    expect((await rowsOf(id)).map(row => row.message_id)).toEqual([0, 1, 3].map(idOf))
    expect(await rowsOf(failures.id)).toEqual([])
  })

  test('drops the oldest beyond the cap, which stay in the log', async () => {
    const { id } = await addEndpoint('http://127.0.0.1:1/')
    const dropped: number[] = []
    const record = recorder(5, dropped)
    await record(numbers(0, 4).map(n => event(n)))
    await record(numbers(4, 12).map(n => event(n)))
    expect(await statusesOf(id)).toEqual([...Array(7).fill('dropped'), ...Array(5).fill('waiting')])
    expect(dropped).toEqual([7])
  })
})
