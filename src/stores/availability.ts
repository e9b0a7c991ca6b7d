import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { withDeadline } from '../async/deadline.ts'
import { singleFlight } from '../async/single-flight.ts'
import {
  isRefusal,
  isUnavailable,
  NoFreeConnection,
  NoNewConnection,
  type StoreName,
  StoreRefused,
  StoreUnavailable
} from './errors.ts'
import { isServerAnswer } from './reason.ts'

export interface AvailabilityOptions {
  store: StoreName
  log: FastifyBaseLogger
  /** Resolves when the store can serve; it does first what a new connection needs (migrations, checks). */
  probe: () => Promise<void>
  /**
   * Writes what leaves nothing behind; it rejects when the store takes no writes, or when something else is in the way.
   * Without it the probe is the whole truth.
   */
  tryWrite?: () => Promise<void>
  /** Longest time one probe may take, in milliseconds. */
  timeout: number
}

/** Pause between two probes of a store that answers, and longest pause between two of one that does not (ms). */
const INTERVAL = 2000
const LONGEST_PAUSE = 1000
const SHORTEST_PAUSE = 100

/** How long health believes that the store takes writes, once one was tried (ms). */
const WRITE_VALID = 10_000

/** How long after its fall a store is worth asking once more, and how long a client is kept waiting for that (ms). */
const FRESH = 500
const SECOND_LOOK = 150

/**
 * Whether a store can be used: the one state that requests, workers and health look at. It is a breaker:
 *
 *     down --probe answers--> up --a call or a probe gets no answer--> down
 *
 * While it is down, calls fail at once instead of each waiting for a timeout, and probes go on with backoff.
 */
export class Availability {
  readonly store: StoreName
  readonly #options: AvailabilityOptions
  readonly #stopped = new AbortController()
  readonly #waiting = new Set<() => void>()
  #up = false
  #reason: unknown = 'not connected yet'
  /** Whether the log has what the server says to that. */
  #explained = false
  #fellAt = Number.NEGATIVE_INFINITY
  #refusal: StoreUnavailable | undefined
  #triedAt = Number.NEGATIVE_INFINITY
  #loop: Promise<void> | undefined
  #wake: AbortController | undefined

  constructor(options: AvailabilityOptions) {
    this.store = options.store
    this.#options = options
  }

  get up(): boolean {
    return this.#up
  }

  /** Why the store is down, or was when it last was. */
  get reason(): unknown {
    return this.#reason
  }

  /** Why the store takes no writes though it answers, as far as is known; undefined when it takes them. */
  get refusal(): StoreUnavailable | undefined {
    return this.#refusal
  }

  /** Begins to watch the store; resolves after the first probe, whatever it found. */
  async start(): Promise<void> {
    await this.check()
    this.#loop = this.#watch()
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    this.#wake?.abort()
    await this.#loop
  }

  /**
   * Does `work` if the store is up. Without an answer the store counts as down; where only `work` itself may be slow (not
   * `trusted`), it is asked first.
   * @throws {StoreUnavailable} at once while it is down, and when `work` finds out that it is.
   */
  async run<T>(work: () => Promise<T>, trusted = true): Promise<T> {
    if (!this.#up) throw new StoreUnavailable(this.store, this.#reason)
    try {
      return await work()
    } catch (error) {
      if (isUnavailable(error, this.store)) trusted ? this.#fell(error) : void this.check()
      else if (this.#isNews(error)) void this.takesWrites()
      throw error
    }
  }

  /** Asks the store now; concurrent callers share one probe. Resolves to whether it is up. */
  readonly check = singleFlight(() => this.#probe())

  /**
   * Asks the store now, and with a write if it answers: one that takes none may still answer its probes, and leave every
   * write without an answer. Concurrent callers share one. It is for a caller whose call has just failed.
   */
  readonly takesWrites = singleFlight(() => this.#tryWrite())

  /**
   * Whether the store takes writes, for health: a write is tried when none was lately. It waits for that no longer than for
   * a probe, and goes by what was known before.
   */
  async writable(): Promise<boolean> {
    const known = this.#refusal !== undefined || performance.now() - this.#triedAt < WRITE_VALID
    if (!known) await withDeadline(this.takesWrites(), { after: this.#options.timeout, late: () => false })
    return this.#refusal === undefined
  }

  /**
   * Whether the store is up, for a caller whose call has just failed: one that fell only now is asked once more, since
   * a single late answer is no outage. One that fell a while ago costs no time.
   */
  async stillUp(): Promise<boolean> {
    if (this.#up) return true
    if (performance.now() - this.#fellAt > FRESH) return false
    return withDeadline(this.check(), { after: SECOND_LOOK, late: () => false })
  }

  /** Resolves when the store is up, or when `signal` is aborted. */
  async untilUp(signal: AbortSignal): Promise<void> {
    while (!this.#up && !signal.aborted) {
      await new Promise<void>(resolve => {
        const done = () => {
          this.#waiting.delete(done)
          signal.removeEventListener('abort', done)
          resolve()
        }
        this.#waiting.add(done)
        signal.addEventListener('abort', done)
      })
    }
  }

  async #probe(): Promise<boolean> {
    const { timeout, probe } = this.#options
    const late = () => {
      throw new StoreUnavailable(this.store, new Error(`no answer within ${timeout} ms`))
    }
    try {
      await withDeadline(probe(), { after: timeout, late })
      this.#rose()
    } catch (error) {
      this.#fell(error)
    }
    return this.#up
  }

  /** Whether an error may be the first sign that the store takes no writes. */
  #isNews(error: unknown): boolean {
    const refused = error instanceof StoreRefused && !(error instanceof NoFreeConnection)
    return refused && error.store === this.store && this.#refusal === undefined
  }

  async #tryWrite(): Promise<boolean> {
    if (!this.#options.tryWrite) return this.check()
    if (!(await this.check())) return false
    try {
      await this.#options.tryWrite()
      if (this.#refusal !== undefined)
        this.#options.log.info({ store: this.store }, `${this.store} takes writes again`)
      this.#refusal = undefined
      return true
    } catch (error) {
      if (!isRefusal(error)) return true
      // Whoever needs it has to wait. Others may work on the connections that they have: it is no refusal.
      if (error instanceof NoNewConnection) return false
      if (this.#refusal === undefined)
        this.#options.log.error({ store: this.store, err: error }, `${this.store} takes no writes`)
      this.#refusal = error instanceof StoreUnavailable ? error : new StoreRefused(this.store, error)
      return false
    } finally {
      this.#triedAt = performance.now()
    }
  }

  async #watch(): Promise<void> {
    let pause = SHORTEST_PAUSE
    while (!this.#stopped.signal.aborted) {
      this.#wake = new AbortController()
      await delay(this.#up ? INTERVAL : pause, undefined, { signal: this.#wake.signal }).catch(() => {})
      if (this.#stopped.signal.aborted) return
      pause = (await this.check()) ? SHORTEST_PAUSE : Math.min(pause * 2, LONGEST_PAUSE)
      if (this.#up && this.#refusal !== undefined) await this.takesWrites()
    }
  }

  #rose(): void {
    if (this.#up) return
    this.#up = true
    this.#options.log.info({ store: this.store }, `${this.store} is available`)
    for (const done of [...this.#waiting]) done()
  }

  #fell(reason: unknown): void {
    // A connection that is lost does not say why it is not made anew; what the server then answers does.
    const down = !this.#up && this.#loop !== undefined
    const answered = isServerAnswer(reason)
    this.#reason = reason
    if (!down || (answered && !this.#explained))
      this.#options.log.error({ store: this.store, err: reason }, `${this.store} is not available`)
    this.#explained = answered || (down && this.#explained)
    if (down) return
    this.#up = false
    this.#fellAt = performance.now()
    this.#wake?.abort()
  }
}
