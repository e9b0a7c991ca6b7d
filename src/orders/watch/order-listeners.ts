import type { WindowEvent } from './event-window.ts'

/** The listener of one caller that waits for one order. */
export interface OrderListener {
  identity: string
  /** Called with the event that makes the order final. */
  onEvent: (event: WindowEvent) => void
  /** Called when an event may be missing or late: the caller reads the order again. */
  onGap: () => void
}

/** The listeners of a process, by the order for which they wait. */
export class OrderListeners {
  readonly #byIdentity = new Map<string, Set<OrderListener>>()

  add(listener: OrderListener): void {
    const own = this.#byIdentity.get(listener.identity) ?? new Set()
    this.#byIdentity.set(listener.identity, own.add(listener))
  }

  remove(listener: OrderListener): void {
    const own = this.#byIdentity.get(listener.identity)
    own?.delete(listener)
    if (own?.size === 0) this.#byIdentity.delete(listener.identity)
  }

  /** Calls the listeners of the order that the event is about. */
  notify(event: WindowEvent): void {
    for (const listener of [...(this.#byIdentity.get(event.identity) ?? [])]) listener.onEvent(event)
  }

  /** Calls the listeners of all orders that `isMeant` returns true for, because events may be missing. */
  notifyGap(isMeant: (identity: string) => boolean): void {
    for (const [identity, own] of this.#byIdentity)
      if (isMeant(identity)) for (const listener of [...own]) listener.onGap()
  }
}
