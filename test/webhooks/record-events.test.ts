import { describe, expect, onTestFinished, test } from 'vitest'
import { createEventRecorder } from '../../src/webhooks/record-events.ts'
import { connectTo, until } from '../harness/space.ts'
import { idOf, numbers, TENANT, useQueues } from './queues.ts'

const { space, mysql, table, addEndpoint, rowsOf, statusesOf } = await useQueues()

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

  test('has each event once when other workers insert some of them in the middle of the statement', async () => {
    const { id } = await addEndpoint('http://127.0.0.1:1/')
    const other = await connectTo(space)
    onTestFinished(() => other.end())
    const sql =
      'INSERT INTO webhook_deliveries (endpoint_id, message_id, type, occurred_at, status, due_at, payload) VALUES ?'
    const valuesOf = (all: number[]) => [
      all.map(n => [id, idOf(n), 'order.completed', '2026-01-01', 'waiting', '2026-01-01', '{}'])
    ]
    await other.query('BEGIN')
    await other.query(sql, valuesOf([1]))
    const recording = recorder(100)(numbers(1, 6).map(n => event(n)))
    await until('the statement waits for the first row', async () => {
      const [found] = await space.sql<{ Status: string }>('SHOW ENGINE INNODB STATUS')
      const transactions = found?.Status.split('---TRANSACTION') ?? []
      return transactions.some(text => text.includes('LOCK WAIT') && text.includes(id))
    })
    // Its ids come after those that the statement has reserved.
    await space.sql(sql, valuesOf([2, 6, 7, 8]))
    await other.query('COMMIT')
    await recording
    expect((await rowsOf(id)).map(row => row.message_id).sort()).toEqual(numbers(1, 9).map(idOf))
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
