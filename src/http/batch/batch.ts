import type { IncomingMessage, ServerResponse } from 'node:http'
import type { NewOrder } from '../../../schema/http/order.ts'
import type { Problem } from '../../../schema/http/problem.ts'
import type { Acceptance } from '../../orders/accept/intake.ts'
import { InvalidJson } from '../body/json-body.ts'
import { dropRest } from '../connection/drain-body.ts'
import type { BatchMemory } from './batch-memory.ts'
import { BatchStopped, BatchTooLarge, EndsBatch, LateBatch } from './faults.ts'
import { OrdersInFlight } from './orders-in-flight.ts'
import { idOf, parseOrder } from './read-order.ts'
import { renderAccepted, renderRefused } from './result-line.ts'
import { Results } from './results.ts'
import type { Splitter } from './splitter.ts'

const LATE = 'The next order had not arrived in full when its time was up.'

/** The results that may wait for the client (bytes): many clients read only after they have sent everything. */
const MOST_UNSENT = 2 * 1024 * 1024

/** The same with documents. Such a client has to read while it sends. */
const MOST_UNSENT_DOCUMENTS = 64 * 1024

/**
 * What a batch may hold although the batches of the process have no room (characters). Each batch therefore goes on when
 * its own client reads. The stream of the response may keep as much without reporting when it is read.
 */
const ALWAYS_ROOM = 64 * 1024

/** What became of the orders of a batch. */
export interface BatchCounts {
  accepted: number
  replayed: number
  refused: number
}

/** The dependencies and settings of a batch. */
export interface BatchOptions {
  body: IncomingMessage
  splitter: Splitter
  /** Whether the splitter finds the next order even after a text that is not JSON. */
  recovers: boolean
  /** Counts an order against the rate limit. Returns the error for an order over the limit. */
  count: () => Error | undefined
  /** Returns a parsed order, or throws why it is not one. */
  check: (value: unknown) => NewOrder
  accept: (order: NewOrder) => Promise<Acceptance>
  /** Counts what all batches of the process hold. */
  memory: BatchMemory
  /** Makes the problem of a refused order. */
  toProblem: (thrown: unknown, index: number) => Problem
  /** Logs why the connection was cut. */
  logCut: (reason: string) => void
  /** Whether the results have the documents. */
  representation: boolean
  /** The most orders. */
  limit: number
  /** How long the client may take to send one order or to read a part of the results (ms). */
  patience: number
}

/**
 * One batch of orders, from the bytes of the body to the lines of the results. It reads only while the orders in flight
 * and the unsent results leave room, in the batch and in the process. So a client that is faster than the stores, or does
 * not read, has to wait. Every order that is handed to the intake is finished, even when the client is gone.
 */
export class Batch {
  readonly counts: BatchCounts = { accepted: 0, replayed: 0, refused: 0 }
  readonly #options: BatchOptions
  readonly #mostUnsent: number
  readonly #begun = Promise.withResolvers<void>()
  readonly #timer: NodeJS.Timeout
  #first: string | Error | undefined
  #response: ServerResponse | undefined
  #results: Results | undefined

  readonly #orders = new OrdersInFlight()
  /** What the memory counts for this batch. */
  #counted = 0

  #isTaking = true
  #hasRead = false
  #isAtEnd = false
  #isStopping = false
  #isScheduled = false

  constructor(options: BatchOptions) {
    this.#options = options
    this.#mostUnsent = options.representation ? MOST_UNSENT_DOCUMENTS : MOST_UNSENT
    this.#timer = setTimeout(this.#late, options.patience)
  }

  /**
   * Reads up to the first order.
   * @throws {EndsBatch} when nothing before the error is an order. The whole request is then refused.
   */
  begin(): Promise<void> {
    const { body } = this.#options
    body.on('readable', this.#schedule)
    body.once('end', this.#schedule)
    body.once('close', this.#schedule)
    this.#schedule()
    return this.#begun.promise
  }

  /** Handles all orders, and writes their results. The head of the response must be written. */
  run(response: ServerResponse): void {
    this.#response = response
    this.#results = new Results(response, this.#moved)
    response.once('close', this.#close)
    this.#moved()
    // The connection may have been cut before.
    if (response.destroyed) this.#close()
  }

  /** Takes no orders that have not arrived yet. A batch that begins later still takes its first bytes. */
  stop(): void {
    this.#isStopping = true
    this.#schedule()
  }

  #close = () => {
    this.#isTaking = false
    clearTimeout(this.#timer)
    this.#results?.close()
    this.#schedule()
  }

  #moved = () => {
    this.#timer.refresh()
    this.#schedule()
  }

  /** Continues at the end of this turn of the event loop, once for everything that happens in the turn. */
  #schedule = () => {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(this.#proceed)
  }

  #proceed = () => {
    this.#isScheduled = false
    if (!this.#results) return this.#readFirst()
    const { moves } = this.#orders
    this.#writeResults(this.#results)
    while (this.#isTaking && this.#hasRoom(this.#results)) {
      const text = this.#first ?? this.#read()
      this.#first = undefined
      if (text === undefined) break
      this.#take(text)
    }
    this.#writeResults(this.#results)
    this.#countHeld(this.#results)
    if (this.#orders.moves !== moves) this.#timer.refresh()
  }

  #readFirst(): void {
    if (this.#first !== undefined) return
    this.#first = this.#read()
    if (this.#first instanceof EndsBatch) this.#refuseAll(this.#first)
    else if (this.#first !== undefined || !this.#isTaking) this.#begun.resolve()
  }

  #refuseAll(error: Error): void {
    clearTimeout(this.#timer)
    this.#endInput()
    this.#options.body.resume()
    this.#begun.reject(error)
  }

  #hasRoom(results: Results): boolean {
    const held = this.#countHeld(results)
    if (!this.#orders.hasRoom || results.unsent >= this.#mostUnsent) return false
    return held < ALWAYS_ROOM || this.#options.memory.hasRoom(this.#schedule)
  }

  /** Counts what this batch holds now, and returns it (characters). */
  #countHeld(results: Results): number {
    const held = this.#orders.length + results.unsent
    this.#options.memory.add(held - this.#counted)
    this.#counted = held
    return held
  }

  /** Returns the next text or error. Returns undefined when it has not arrived, or when nothing is left. */
  #read(): string | Error | undefined {
    const { body, splitter } = this.#options
    for (;;) {
      const text = splitter.next()
      if (text !== undefined) return text
      if (this.#isStopping && this.#hasRead && !body.complete) return new BatchStopped()
      const chunk: Buffer | null = body.read()
      if (chunk !== null) {
        this.#hasRead = true
        splitter.push(chunk)
        continue
      }
      if (body.readableEnded) return this.#readLast()
      // The rest of a body that was cut off is not an order.
      if (body.destroyed) return new LateBatch('The connection was closed before the body had arrived.')
      return undefined
    }
  }

  #readLast(): string | Error | undefined {
    const last = this.#isAtEnd ? undefined : this.#options.splitter.end()
    this.#isAtEnd = true
    if (last === undefined) this.#isTaking = false
    return last
  }

  #take(text: string | Error): void {
    const { count, check, accept, limit } = this.#options
    const index = this.#orders.begin()
    let id: string | null = null
    try {
      if (typeof text !== 'string') throw text
      if (index >= limit) throw new BatchTooLarge(limit)
      const excess = count()
      const value = parseOrder(text)
      id = idOf(value)
      if (excess) throw excess
      const order = check(value)
      this.#orders.hold(index, text.length)
      accept(order).then(
        acceptance => this.#accepted(index, order.order_id, acceptance),
        error => this.#refused(index, order.order_id, error)
      )
    } catch (error) {
      this.#refused(index, id, error)
      const isLost = error instanceof InvalidJson && !this.#options.recovers
      if (isLost || error instanceof EndsBatch) this.#endInput()
    }
  }

  #accepted(index: number, id: string, acceptance: Acceptance): void {
    this.counts[acceptance.durability ? 'accepted' : 'replayed']++
    this.#finish(index, renderAccepted(index, id, acceptance, this.#options.representation))
  }

  #refused(index: number, id: string | null, error: unknown): void {
    this.counts.refused++
    this.#finish(index, renderRefused(index, id, this.#options.toProblem(error, index)))
  }

  #finish(index: number, line: string): void {
    this.#orders.finish(index, line)
    this.#schedule()
  }

  #writeResults(results: Results): void {
    const ready = this.#orders.takeResults()
    if (ready.length > 0) results.write(ready, !this.#orders.isEmpty)
    if (!this.#isTaking && this.#orders.isEmpty) results.end()
  }

  /** Takes nothing more from the body. */
  #endInput(): void {
    const { body } = this.#options
    this.#isTaking = false
    body.off('readable', this.#schedule)
    if (this.#response && !body.readableEnded) dropRest(body, this.#response)
  }

  /** Nothing has moved for a while. */
  #late = () => {
    if (!this.#results) return this.#refuseAll(new LateBatch(LATE))
    this.#timer.refresh()
    // The stores have orders in flight, and the client need not do anything.
    if (!this.#orders.isEmpty) return
    if (this.#results.unsent > 0) {
      this.#options.logCut('the client reads no results')
      this.#response?.destroy()
    } else if (this.#isTaking) this.#take(new LateBatch(LATE))
  }
}
