import type { EventLog } from './events.ts'
import type { Holdings, Row } from './holdings.ts'
import type { Ledger } from './ledger.ts'

/** The events, the contents of both stores, and the ledger that records the violations. */
interface Events {
  ledger: Ledger
  holdings: Holdings
  events: EventLog
}

/** Checks that a finished order has exactly one event id. The event may be delivered several times. */
export function checkEvents(id: string, { status }: Row, { ledger, events }: Events) {
  if (status !== 'completed' && status !== 'cancelled') return
  const ids = events[status].get(id) ?? []
  if (ids.length === 0) ledger.violate('doubled', `${status} without an event`, id, '')
  if (ids.length > 1) ledger.violate('doubled', 'several events', id, ids.join(', '))
  const failed = events.failed.get(id)
  if (failed) ledger.violate('wrong', 'an event order.failed of another order', id, failed.join(', '))
}

/** Checks that each event is of an order in its state, and that no two orders share an event id. */
export function checkStrayEvents({ ledger, holdings, events }: Events) {
  const owners = new Map<string, string>()
  const all = (['completed', 'cancelled'] as const).flatMap(status =>
    [...events[status]].map(([id, eventIds]) => ({ status, id, eventIds }))
  )
  for (const { status, id, eventIds } of all) {
    if (holdings.rows.get(id)?.[0]?.status !== status)
      ledger.violate('doubled', `an event of no ${status} order`, id, eventIds.join(', '))
    for (const eventId of eventIds) {
      const other = owners.get(eventId)
      if (other) ledger.violate('doubled', 'one event id for two orders', id, `${eventId}, also of ${other}`)
      owners.set(eventId, id)
    }
  }
  for (const text of events.faulty)
    ledger.violate('wrong', 'an entry of events that is not an event', '', text)
}
