import { setTimeout as delay } from 'node:timers/promises'
import type { EventLog } from '../events.ts'
import type { Ledger } from '../ledger.ts'
import type { Follower } from './follower.ts'

/** The longest wait until the followers have the last events (ms). */
const LONGEST = 30_000

/** The ids of all events of a tenant. */
function eventsOf(tenant: string, events: EventLog): string[] {
  return (['completed', 'failed', 'cancelled'] as const).flatMap(status =>
    [...events[status].keys()]
      .filter(identity => (identity.includes('/') ? identity.split('/', 1)[0] : 'default') === tenant)
      .map(identity => `${identity}:${status}`)
  )
}

const missedBy = ({ tenant, received }: Follower, events: EventLog) =>
  eventsOf(tenant, events).filter(id => !received.has(id))

/** Waits until each follower has every event, for a limited time. */
export async function untilFollowed(
  followers: Follower[],
  events: EventLog,
  signal: AbortSignal
): Promise<void> {
  const end = performance.now() + LONGEST
  while (performance.now() < end && followers.some(follower => missedBy(follower, events).length > 0))
    await delay(200, undefined, { signal })
}

/** Checks that each follower has had every event of its tenant once. */
export function checkFollowers(followers: Follower[], events: EventLog, ledger: Ledger): void {
  for (const follower of followers) {
    const { name, received, resets } = follower
    const detail = `${name}, with ${resets} resets`
    for (const id of missedBy(follower, events))
      ledger.violate('wrong', 'a stream that missed an event', orderOf(id), detail)
    for (const [id, times] of received)
      if (times > 1)
        ledger.violate('doubled', 'a stream that repeated an event', orderOf(id), `${detail}, ${times} times`)
    const known = new Set(eventsOf(follower.tenant, events))
    for (const id of received.keys())
      if (!known.has(id))
        ledger.violate('wrong', 'a stream with an event that was not published', orderOf(id), detail)
  }
}

function orderOf(eventId: string): string {
  return eventId.slice(0, eventId.lastIndexOf(':'))
}
