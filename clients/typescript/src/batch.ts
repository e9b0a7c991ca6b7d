import { BatchBody, type Entry } from './batch-body.ts'
import { Deadline } from './deadline.ts'
import { ConnectionError, errorOfProblem, type OrderstreamError } from './errors.ts'
import { LineParser } from './lines.ts'
import type { OrderSource } from './order-source.ts'
import { isTransient, Retries } from './retries.ts'
import { failureOf, type Opened, type Transport } from './transport.ts'
import type { OrderResult } from './types.ts'

/** The problems that end a batch before its last order, although its orders are valid. */
const CUTS = ['batch-too-large', 'batch-stopped', 'request-timeout']

/** The dependencies and settings of a batch. */
export interface BatchOptions {
  transport: Transport
  source: OrderSource
  /** The index of the first order among all orders of the call. */
  first: number
  documents: boolean
  streaming: boolean
  signal: AbortSignal | undefined
}

/** What a request has achieved. */
interface Outcome {
  /** Whether at least one order has got its final result. */
  progress: boolean
  /** Why orders have to wait; undefined when those without a result can be sent again at once. */
  error: OrderstreamError | undefined
}

/** The orders of one request, and of the requests that repeat a part of it. */
export class Batch {
  readonly #options: BatchOptions
  readonly #body: BatchBody
  readonly #stop: Deadline
  readonly #retries: Retries
  #wake = () => {}

  constructor(options: BatchOptions) {
    this.#options = options
    this.#body = new BatchBody(options.source, options.first)
    this.#stop = new Deadline(options.signal)
    this.#retries = new Retries(options.transport.retries, this.#stop.signal)
  }

  /** The number of orders that were read from the source. */
  get size(): number {
    return this.#body.entries.length
  }

  /** Sends the orders, and returns their results in order. A loop that is slow does not delay the requests. */
  async *results(): AsyncGenerator<OrderResult, void, undefined> {
    const { entries } = this.#body
    let failure: { reason: unknown } | undefined
    let isDone = false
    const sending = this.#send()
      .catch(reason => {
        failure = { reason }
      })
      .finally(() => {
        isDone = true
        this.#wake()
      })
    let next = 0
    try {
      while (!isDone || entries[next]?.isFinal) {
        const changed = new Promise<void>(resolve => {
          this.#wake = resolve
        })
        for (let entry = entries[next]; entry?.isFinal; entry = entries[++next]) {
          if (entry.result) yield entry.result
          delete entry.result
        }
        if (!isDone && !entries[next]?.isFinal) await changed
      }
    } finally {
      this.#stop.end()
      await sending
    }
    if (failure) throw failure.reason
  }

  /** Sends requests until each order has its final result. */
  async #send(): Promise<void> {
    let sent = this.#body.entries
    let body = this.#options.streaming ? this.#body.stream() : await this.#body.text()
    for (;;) {
      const { progress, error } = await this.#exchange(sent, body)
      await this.#body.settled()
      sent = this.#body.entries.filter(({ isFinal }) => !isFinal)
      if (sent.length === 0) return
      if (progress) this.#retries.reset()
      const reason = error ?? (progress ? undefined : new ConnectionError('The answer has no results.'))
      if (reason && !(await this.#waitAfter(reason, sent))) return
      body = sent.map(({ text }) => text).join('')
    }
  }

  /** Waits for the next attempt. Returns false when there is none, and each order has at least a refusal as result. */
  async #waitAfter(reason: OrderstreamError, open: Entry[]): Promise<boolean> {
    try {
      await this.#retries.after(reason)
      return true
    } catch (error) {
      if (error !== reason || open.some(({ result }) => result === undefined)) throw error
      for (const entry of open) entry.isFinal = true
      return false
    }
  }

  /** Sends one request, and reads its results. */
  async #exchange(sent: Entry[], body: string | ReadableStream<Uint8Array>): Promise<Outcome> {
    const { transport, documents } = this.#options
    const outcome: Outcome = { progress: false, error: undefined }
    const headers = {
      'content-type': 'application/x-ndjson',
      ...(documents && { prefer: 'return=representation' })
    }
    const { signal } = this.#stop
    try {
      const opened = await transport.open({ method: 'POST', path: '/orders/batch', headers, body, signal })
      await this.#readResults(opened, sent, outcome)
    } catch (error) {
      const failure = failureOf(error, signal)
      if (!isTransient(failure)) throw failure
      outcome.error = failure
    }
    return outcome
  }

  async #readResults({ response, deadline }: Opened, sent: Entry[], outcome: Outcome): Promise<void> {
    const lines = new LineParser()
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    try {
      for (;;) {
        deadline.extend(this.#options.transport.timeout)
        const { value } = await reader.read()
        if (value === undefined) return
        for (const line of lines.push(value)) note(JSON.parse(line) as OrderResult, sent, outcome)
        this.#wake()
      }
    } finally {
      deadline.end()
    }
  }
}

/** Records one line of an answer. */
function note(result: OrderResult, sent: Entry[], outcome: Outcome): void {
  const error = result.problem && errorOfProblem(result.problem)
  const entry = sent[result.index]
  if (entry === undefined || (error && CUTS.includes(error.code))) return
  entry.result = { ...result, index: entry.index }
  if (error && isTransient(error)) {
    const isLater = (error.retryAfter ?? 0) >= (outcome.error?.retryAfter ?? 0)
    if (isLater) outcome.error = error
    return
  }
  entry.isFinal = true
  entry.text = ''
  outcome.progress = true
}
