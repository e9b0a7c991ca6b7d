import type { EventCursor, EventFilter } from './event-cursor.ts'
import { customerOf, type WindowEvent } from './event-window.ts'

/** A client that follows the events of a tenant or of a customer. */
export interface EventSubscriber {
  filter: Pick<EventFilter, 'tenant' | 'customerId'>
  cursor: Pick<EventCursor, 'mayMatch'>
  /** Called when there may be a next event. */
  wake: () => void
}

/**
 * The subscribers of a process, by tenant and customer. With thousands of streams of single customers, an event is
 * looked at for its own customer alone.
 */
export class EventSubscribers {
  readonly #all = new Set<EventSubscriber>()
  readonly #byTarget = new Map<string, Set<EventSubscriber>>()

  get size(): number {
    return this.#all.size
  }

  /** Adds a subscriber. Returns the function that removes it. */
  add(subscriber: EventSubscriber): () => void {
    const target = targetOf(subscriber.filter.tenant, subscriber.filter.customerId)
    const own = this.#byTarget.get(target) ?? new Set()
    this.#byTarget.set(target, own.add(subscriber))
    this.#all.add(subscriber)
    return () => {
      this.#all.delete(subscriber)
      own.delete(subscriber)
      if (own.size === 0 && this.#byTarget.get(target) === own) this.#byTarget.delete(target)
    }
  }

  /** Wakes the subscribers that one of these events may concern. `from` is the number of the first one in the window. */
  notify(events: readonly WindowEvent[], from: number): void {
    const concerned = new Set<EventSubscriber>()
    const collect = (target: string) => {
      for (const each of this.#byTarget.get(target) ?? []) concerned.add(each)
    }
    for (const event of events) {
      collect(targetOf(event.tenant, undefined))
      const customer = customerOf(event)
      if (customer !== undefined) collect(targetOf(event.tenant, customer))
    }
    wakeAll(concerned, from)
  }

  /** Wakes every subscriber, because the window has a gap at the number `from`. */
  notifyAll(from: number): void {
    wakeAll([...this.#all], from)
  }
}

function wakeAll(subscribers: Iterable<EventSubscriber>, from: number): void {
  for (const { cursor, wake } of subscribers) {
    cursor.mayMatch(from)
    wake()
  }
}

/** A tenant has no space in its name. */
function targetOf(tenant: string, customerId: string | undefined): string {
  return customerId === undefined ? tenant : `${tenant} ${customerId}`
}
