import { compareIds, START } from '../../streams/fan-out/positions.ts'
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

/** The estimated bytes of an item besides its texts. */
const ITEM_BYTES = 400

/**
 * The newest events that a process has read, in the order of reading. Items have consecutive numbers. Each event is in
 * the window once: a repetition is dropped.
 */
export class EventWindow {
  readonly #most: { items: number; bytes: number }
  readonly #known = new Set<string>()
  readonly #since: string[] = []
  /** The numbers of the events of each partition, which are in the order of their positions except after a gap. */
  readonly #numbers: number[][] = []
  #items: WindowItem[] = []
  #first = 0
  /** The number of places at the beginning of `#items` whose items were removed. */
  #skipped = 0
  #bytes = 0

  /** Creates an empty window for at most so many items and bytes. */
  constructor(most: { items: number; bytes: number }) {
    this.#most = most
  }

  /** The number of the oldest item. */
  get first(): number {
    return this.#first
  }

  /** The number that the next item gets. */
  get end(): number {
    return this.#first + this.#items.length - this.#skipped
  }

  /** Returns the item with a number from `first` to `end` - 1. */
  at(number: number): WindowItem {
    return this.#items[this.#skipped + number - this.#first] as WindowItem
  }

  /** Adds an item. Returns false for an event that the window has already. */
  add(item: WindowItem): boolean {
    if (item.kind === 'event') {
      if (this.#known.has(item.id)) return false
      this.#known.add(item.id)
      const own = this.#numbers[item.partition] ?? []
      this.#numbers[item.partition] = own
      own.push(this.end)
    }
    this.#items.push(item)
    this.#bytes += bytesOf(item)
    while (this.end - this.#first > 1 && this.#isTooLarge()) this.#removeOldest()
    return true
  }

  /** Returns the position of a partition after which the window has every event. */
  since(partition: number): string {
    return this.#since[partition] ?? START
  }

  /** Sets that position. */
  setSince(partition: number, position: string): void {
    this.#since[partition] = position
  }

  /** Returns the number of the first item that may be after these positions of the partitions. */
  firstAfter(positions: readonly string[]): number {
    return Math.min(this.end, ...positions.map((position, partition) => this.#firstOf(partition, position)))
  }

  /** Returns the number of the first event of a partition after a position. */
  #firstOf(partition: number, position: string): number {
    const own = this.#numbers[partition] ?? []
    let low = 0
    let high = own.length
    while (low < high) {
      const middle = (low + high) >> 1
      const number = own[middle] as number
      const isAfter =
        number >= this.#first && compareIds((this.at(number) as WindowEvent).position, position) > 0
      if (isAfter) high = middle
      else low = middle + 1
    }
    return own[low] ?? this.end
  }

  #isTooLarge(): boolean {
    return this.end - this.#first > this.#most.items || this.#bytes > this.#most.bytes
  }

  #removeOldest(): void {
    const item = this.at(this.#first)
    this.#bytes -= bytesOf(item)
    this.#first++
    this.#skipped++
    if (item.kind === 'event') {
      this.#known.delete(item.id)
      // After a gap, it is higher already.
      if (compareIds(item.position, this.since(item.partition)) > 0)
        this.#since[item.partition] = item.position
      this.#numbers[item.partition] = withoutRemoved(this.#numbers[item.partition] as number[], this.#first)
    }
    if (this.#skipped < this.#items.length / 2) return
    this.#items = this.#items.slice(this.#skipped)
    this.#skipped = 0
  }
}

/** Removes numbers below `first`, once they are half of all. */
function withoutRemoved(numbers: number[], first: number): number[] {
  const half = numbers.length >> 1
  return half > 0 && (numbers[half] as number) < first ? numbers.slice(half) : numbers
}

function bytesOf(item: WindowItem): number {
  return ITEM_BYTES + item.positions.length + (item.kind === 'event' ? item.document.length : 0)
}
