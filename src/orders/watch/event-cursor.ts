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

/** Reads the window of recent events at the pace of one client. */
export interface EventCursor {
  /** Returns the next event that matches the filter; undefined when there is none until the next call of `mayMatch`. */
  next: () => Followed | undefined
  /**
   * Reports that the item with this number may match, and that no earlier one matches that the cursor has not looked at
   * since it returned undefined.
   */
  mayMatch: (number: number) => void
  /** Returns where this client is, as text: what `after` has to be to go on there. */
  positions: () => string
}

/** The positions of another log than this one are this much ahead of it at most, by the clocks of servers (ms). */
const MOST_AHEAD = 60_000

/**
 * Creates a cursor at the end of the window. With `after`, it begins after these positions of all partitions; 'unknown'
 * stands for positions that cannot be read. `heads` returns the newest position of each partition.
 */
export function createEventCursor(
  window: EventWindow,
  heads: () => readonly string[],
  filter: EventFilter,
  after: readonly string[] | 'unknown' | undefined
): EventCursor {
  let isLost = after === 'unknown' || (after !== undefined && !isCovered(after, window, heads()))
  /** The position of the client in each partition, while it catches up. */
  let floor = isLost || after === undefined || after === 'unknown' ? undefined : [...after]
  let number = floor ? window.first : window.end
  let passed = writePositions(heads())
  /** Whether the client has everything that matches. */
  let isIdle = false

  const isAhead = () =>
    floor?.some((position, index) => compareIds(position, heads()[index] as string) > 0) ?? false

  /** Moves over an item. Returns whether the client has not had it yet. */
  const pass = (item: WindowItem): boolean => {
    if (!floor) {
      passed = item.positions
      return true
    }
    if (item.kind === 'gap' || compareIds(item.position, floor[item.partition] as string) <= 0) return false
    floor[item.partition] = item.position
    return true
  }

  const positions = () => {
    if (isIdle) return writePositions(heads())
    return floor ? writePositions(floor) : passed
  }

  return {
    positions,
    mayMatch: later => {
      if (isIdle) number = Math.max(number, later)
      // The client may take the event later, and another one may come before that.
      isIdle = false
    },
    next: () => {
      // Items may have left the window since then. None of them matched.
      if (isIdle) return undefined
      if (isLost || number < window.first) {
        isLost = false
        floor = undefined
        number = window.end
        passed = writePositions(heads())
        return { kind: 'reset', positions: passed }
      }
      while (number < window.end) {
        const item = window.at(number++)
        if (!pass(item)) continue
        if (item.kind === 'gap') return { kind: 'reset', positions: passed }
        if (matches(item, filter)) return { kind: 'event', positions: positions(), event: item }
      }
      if (!isAhead()) {
        floor = undefined
        isIdle = true
      }
      return undefined
    }
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
