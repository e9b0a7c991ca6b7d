import { compareIds, timeOf, writePositions } from '../../streams/fan-out/positions.ts'
import type { FinalStatus } from '../events.ts'
import { customerOf, type EventWindow, type WindowEvent, type WindowItem } from './event-window.ts'

/** The events that a caller wants. */
export interface EventFilter {
  tenant: string
  /** Every status when it is undefined. */
  status: FinalStatus | undefined
  /** Every customer when it is undefined. */
  customerId: string | undefined
}

/** What a cursor returns: an event, or that events may be missing. `positions` is where to go on after it. */
export type Followed =
  | { kind: 'event'; positions: string; event: WindowEvent }
  | { kind: 'reset'; positions: string }

/** The most items that one call of `next` looks at. */
const MOST_AT_ONCE = 1000

/** The positions of another log than this one are this much ahead of it at most, by the clocks of servers (ms). */
const MOST_AHEAD = 60_000

/** What a cursor reads, and where it begins. */
export interface CursorOptions {
  window: EventWindow
  /** The newest position of each partition. The array changes with each event. */
  heads: readonly string[]
  filter: EventFilter
  /**
   * The positions of all partitions after which the cursor begins; 'unknown' when they cannot be read. Undefined for the
   * end of the window.
   */
  after: readonly string[] | 'unknown' | undefined
  /**
   * Called when `next` returns undefined although there are more items: the caller calls it again in a later turn of the
   * event loop.
   */
  onPause: () => void
}

/** Reads the window of recent events at the pace of one client. */
export class EventCursor {
  readonly #options: CursorOptions
  /** The number of the first item that came after the creation of this cursor. */
  readonly #joined: number
  #isLost: boolean
  /** The position of the client in each partition, while it catches up. */
  #floor: string[] | undefined
  #number: number
  #passed: string
  /** Whether the client has everything that matches. */
  #isIdle = false

  constructor(options: CursorOptions) {
    const { window, heads, after } = options
    this.#options = options
    this.#joined = window.end
    this.#isLost = after === 'unknown' || (after !== undefined && !isCovered(after, window, heads))
    this.#floor = this.#isLost || after === undefined || after === 'unknown' ? undefined : [...after]
    this.#number = this.#floor ? window.firstAfter(this.#floor) : window.end
    this.#passed = writePositions(heads)
  }

  /** Returns where this client is, as text: what `after` has to be to go on there; '' before its first reset. */
  positions(): string {
    // A client that is cut off before its reset must get it at the next connection.
    if (this.#isLost) return ''
    if (this.#isIdle) return writePositions(this.#options.heads)
    return this.#floor ? writePositions(this.#floor) : this.#passed
  }

  /**
   * Reports that the item with this number may match, and that no earlier one matches that the cursor has not looked at
   * since it returned undefined.
   */
  mayMatch(number: number): void {
    if (this.#isIdle) this.#number = Math.max(this.#number, number)
    // The client may take the event later, and another one may come before that.
    this.#isIdle = false
  }

  /** Returns the next event that matches the filter; undefined when there is none until the next call of `mayMatch`. */
  next(): Followed | undefined {
    const { window, filter } = this.#options
    // Items may have left the window since then. None of them matched.
    if (this.#isIdle) return undefined
    if (this.#isLost || this.#number < window.first) return this.#reset()
    const pause = Math.min(window.end, this.#number + MOST_AT_ONCE)
    while (this.#number < pause) {
      const item = window.at(this.#number++)
      if (!this.#pass(item)) continue
      if (item.kind === 'gap') return { kind: 'reset', positions: this.#passed }
      if (matches(item, filter)) return { kind: 'event', positions: this.positions(), event: item }
    }
    this.#rest()
    return undefined
  }

  /** Continues at the end of the window. */
  #reset(): Followed {
    const { window, heads } = this.#options
    this.#isLost = false
    this.#floor = undefined
    this.#number = window.end
    this.#passed = writePositions(heads)
    return { kind: 'reset', positions: this.#passed }
  }

  /** Moves over an item. Returns whether the client has not had it yet. */
  #pass(item: WindowItem): boolean {
    const floor = this.#floor
    // A position before an earlier gap is not covered, so that one needs no reset.
    if (floor && item.kind === 'gap' && this.#number <= this.#joined) return false
    if (!floor || item.kind === 'gap') {
      this.#floor = undefined
      this.#passed = item.positions
      return true
    }
    if (compareIds(item.position, floor[item.partition] as string) <= 0) return false
    floor[item.partition] = item.position
    return true
  }

  #rest(): void {
    const { window, heads, onPause } = this.#options
    if (this.#number < window.end) {
      onPause()
      return
    }
    // The client may have come from a process that is ahead of this one.
    if (this.#floor?.some((position, partition) => compareIds(position, heads[partition] as string) > 0))
      return
    this.#floor = undefined
    this.#isIdle = true
  }
}

/** Returns whether the window has every event after these positions. */
function isCovered(after: readonly string[], window: EventWindow, heads: readonly string[]): boolean {
  return after.every(
    (position, partition) =>
      compareIds(position, window.since(partition)) >= 0 &&
      timeOf(position) <= Math.max(timeOf(heads[partition] as string), Date.now()) + MOST_AHEAD
  )
}

function matches(event: WindowEvent, { tenant, status, customerId }: EventFilter): boolean {
  if (event.tenant !== tenant || (status !== undefined && event.status !== status)) return false
  return customerId === undefined || customerOf(event) === customerId
}
