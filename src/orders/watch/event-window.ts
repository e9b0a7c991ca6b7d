import type { ReadEvent } from '../events.ts'

/** An event in the window. */
export interface WindowEvent extends ReadEvent {
  kind: 'event'
  partition: number
  /** The id of its entry in the log of the partition. */
  position: string
  tenant: string
  /** The positions of all partitions after this event, as text; '' when nobody followed the events at that time. */
  positions: string
  /** The customer of the order, once somebody asked for it; null when it has none. */
  customerId?: string | null
}

/** Returns the customer of an order; undefined when it has none. The document is parsed once for all clients. */
export function customerOf(event: WindowEvent): string | undefined {
  event.customerId ??= (JSON.parse(event.document) as { customer_id?: string }).customer_id ?? null
  return event.customerId ?? undefined
}

/** The place in the window of a partition whose log may have lost events. */
export interface WindowGap {
  kind: 'gap'
  positions: string
}

/** One item of the window. */
export type WindowItem = WindowEvent | WindowGap

/**
 * The newest events that a process has read, in the order of reading. Items have consecutive numbers. Each event is in
 * the window once: a repetition is dropped.
 */
export interface EventWindow {
  /** The number of the oldest item, and the number that the next item gets. */
  readonly first: number
  readonly end: number
  /** Returns the item with a number from `first` to `end` - 1. */
  at: (number: number) => WindowItem
  /** Adds an item. Returns false for an event that the window has already. */
  add: (item: WindowItem) => boolean
  /** Returns the position of a partition after which the window has every event. */
  since: (partition: number) => string
  /** Sets that position. */
  setSince: (partition: number, position: string) => void
}

/** The estimated bytes of an item besides its document. */
const ITEM_BYTES = 400

/** Creates an empty window for at most `most` items and bytes. */
export function createEventWindow(most: { items: number; bytes: number }): EventWindow {
  const known = new Set<string>()
  const since: string[] = []
  let items: WindowItem[] = []
  let first = 0
  let skipped = 0
  let bytes = 0

  const removeOldest = () => {
    const item = items[skipped] as WindowItem
    bytes -= bytesOf(item)
    if (item.kind === 'event') {
      known.delete(item.id)
      since[item.partition] = item.position
    }
    first++
    skipped++
    if (skipped < items.length / 2) return
    items = items.slice(skipped)
    skipped = 0
  }

  return {
    get first() {
      return first
    },
    get end() {
      return first + items.length - skipped
    },
    at: number => items[skipped + number - first] as WindowItem,
    add: item => {
      if (item.kind === 'event') {
        if (known.has(item.id)) return false
        known.add(item.id)
      }
      items.push(item)
      bytes += bytesOf(item)
      while (items.length - skipped > 1 && (items.length - skipped > most.items || bytes > most.bytes))
        removeOldest()
      return true
    },
    since: partition => since[partition] as string,
    setSince: (partition, position) => {
      since[partition] = position
    }
  }
}

function bytesOf(item: WindowItem): number {
  return ITEM_BYTES + (item.kind === 'event' ? item.document.length : 0)
}
