import { setTimeout as delay } from 'node:timers/promises'
import type { EventLog } from '../events.ts'
import type { Ledger } from '../ledger.ts'
import type { Follower } from './follower.ts'
import type { Receiver } from './receiver.ts'
import type { Subscribers } from './subscribers.ts'

/** The longest wait until the subscribers have the last events (ms). A webhook is tried again after some seconds. */
const LONGEST = 60_000

/** A client that gets the events of a tenant. */
type Subscriber = Pick<Follower, 'name' | 'tenant' | 'received'>

/** Returns the ids of all events of a tenant. */
function eventsOf(tenant: string, events: EventLog): string[] {
  return (['completed', 'failed', 'cancelled'] as const).flatMap(status =>
    [...events[status].keys()]
      .filter(identity => (identity.includes('/') ? identity.split('/', 1)[0] : 'default') === tenant)
      .map(identity => `${identity}:${status}`)
  )
}

const missedBy = ({ tenant, received }: Subscriber, events: EventLog) =>
  eventsOf(tenant, events).filter(id => !received.has(id))

/** Waits until each subscriber has every event, for a limited time. */
export async function untilReceived(
  { followers, receivers }: Subscribers,
  events: EventLog,
  signal: AbortSignal
): Promise<void> {
  const subscribers = [...followers, ...receivers]
  const end = performance.now() + LONGEST
  while (performance.now() < end && subscribers.some(each => missedBy(each, events).length > 0))
    await delay(200, undefined, { signal })
}

/** Checks what all subscribers have received. */
export function checkPush({ followers, receivers }: Subscribers, events: EventLog, ledger: Ledger): void {
  checkFollowers(followers, events, ledger)
  checkReceivers(receivers, events, ledger)
}

/**
 * The shortest time after which an event may come again, if its order was accepted again while a store was unavailable
 * (ms). A process that starts reads the newest 10,000 events of a partition, which are those of more than a minute.
 */
const LONG_AFTER = 60_000

/** Checks that each follower has had every event of its tenant once. */
export function checkFollowers(followers: Follower[], events: EventLog, ledger: Ledger): void {
  for (const follower of followers) {
    const { name, received, repeats, resets } = follower
    const detail = `${name}, with ${resets} resets`
    for (const id of missedBy(follower, events))
      ledger.violate('wrong', 'a stream that missed an event', orderOf(id), detail)
    for (const { id, after } of repeats)
      if (after < LONG_AFTER || !mayBeAcceptedTwice(orderOf(id), ledger))
        ledger.violate(
          'doubled',
          'a stream that repeated an event',
          orderOf(id),
          `${detail}, after ${Math.round(after)} ms`
        )
    const known = new Set(eventsOf(follower.tenant, events))
    for (const id of received.keys())
      if (!known.has(id))
        ledger.violate('wrong', 'a stream with an event that was not published', orderOf(id), detail)
  }
}

/** Checks that each endpoint of webhooks has had every event of its tenant, at least once, and nothing else. */
export function checkReceivers(receivers: Receiver[], events: EventLog, ledger: Ledger): void {
  for (const receiver of receivers) {
    const { name, tenant, received, faulty } = receiver
    for (const id of missedBy(receiver, events))
      ledger.violate('wrong', 'a webhook that was not delivered', orderOf(id), name)
    const known = new Set(eventsOf(tenant, events))
    for (const id of received.keys())
      if (!known.has(id))
        ledger.violate('wrong', 'a webhook of an event that was not published', orderOf(id), name)
    for (const fault of faulty)
      ledger.violate('wrong', 'a webhook that is not valid', '', `${name}: ${fault}`)
  }
}

/**
 * Returns whether a second POST of the order may have been accepted: it got 202, 503 or no answer, or a 409 after it had
 * waited for the order, which another body had finished before.
 */
function mayBeAcceptedTwice(id: string, { orders }: Ledger): boolean {
  const attempts = orders.get(id)?.attempts ?? []
  const mayBeAccepted = attempts.filter(
    ({ status, waits }) => [202, 503, 0].includes(status) || (status === 409 && waits)
  )
  return mayBeAccepted.length > 1
}

function orderOf(eventId: string): string {
  return eventId.slice(0, eventId.lastIndexOf(':'))
}
