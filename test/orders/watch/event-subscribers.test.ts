import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EventCursor } from '../../../src/orders/watch/event-cursor.ts'
import { EventSubscribers } from '../../../src/orders/watch/event-subscribers.ts'
import { EventWindow, type WindowEvent } from '../../../src/orders/watch/event-window.ts'

const CUSTOMERS = ['a', 'b', 'c', undefined]
const TENANTS = ['default', 'acme']

const event = fc.record({ customer: fc.constantFrom(...CUSTOMERS), tenant: fc.constantFrom(...TENANTS) })
const filter = fc.record({
  tenant: fc.constantFrom(...TENANTS),
  customerId: fc.constantFrom('a', 'b', undefined),
  status: fc.constant(undefined)
})

test('each subscriber gets the events of its filter once, in order, however many others there are', () => {
  const batches = fc.array(fc.array(event, { maxLength: 5 }), { maxLength: 20 })
  fc.assert(
    fc.property(batches, fc.array(filter, { minLength: 1, maxLength: 6 }), (log, filters) => {
      // The window is smaller than the log, and larger than three batches: a subscriber without events for a long time has no reset.
      const window = new EventWindow({ items: 15, bytes: 1_000_000 })
      const subscribers = new EventSubscribers()
      const heads = ['0-0']
      window.setSince(0, '0-0')
      const clients = filters.map((each, index) => {
        const isSlow = index % 2 === 1
        let calls = 0
        const cursor = new EventCursor({ window, heads, filter: each, after: undefined, onPause: () => {} })
        const got: string[] = []
        // A client that is slow takes its events at some of the calls only.
        const wake = () => {
          if (isSlow && ++calls % 3 !== 0) return
          for (let item = cursor.next(); item; item = cursor.next())
            got.push(item.kind === 'event' ? item.event.identity : item.kind)
        }
        cursor.next()
        const take = () => {
          calls = 2
          wake()
        }
        return { got, take, remove: subscribers.add({ filter: each, cursor, wake }) }
      })
      let number = 0
      const expected: string[][] = filters.map(() => [])
      for (const [round, batch] of log.entries()) {
        const from = window.end
        const events = batch.map(({ customer, tenant }) => {
          const identity = String(++number)
          heads[0] = `${number}-0`
          for (const [index, each] of filters.entries())
            if (each.tenant === tenant && (each.customerId === undefined || each.customerId === customer))
              expected[index]?.push(identity)
          return {
            ...({ kind: 'event', status: 'completed', partition: 0, positions: heads[0] } as const),
            ...{ id: `${identity}:completed`, identity, position: heads[0], tenant },
            document: JSON.stringify({ order_id: identity, customer_id: customer })
          } satisfies WindowEvent
        })
        for (const each of events) window.add(each)
        subscribers.notify(events, from)
        if (round % 3 === 2) for (const { take } of clients) take()
      }
      for (const { take } of clients) take()
      expect(clients.map(({ got }) => got)).toEqual(expected)
      for (const { remove } of clients) remove()
      expect(subscribers.size).toBe(0)
    })
  )
})
