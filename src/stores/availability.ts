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

/** The dependencies of the availability of a store. */
export interface AvailabilityOptions {
  store: StoreName
  log: FastifyBaseLogger
  /** Resolves when the store can serve. Does first what a new connection needs (migrations, checks). */
  probe: () => Promise<void>
  /**
   * Writes and leaves nothing behind. Rejects when the store refuses writes, or when something else is in the way.
   * Without it a store that answers its probe counts as one that takes writes.
   */
  tryWrite?: () => Promise<void>
  /** Longest time one probe may take, in milliseconds. */
  timeout: number
}

/** Pause between probes of a store that answers, and longest and shortest pause for one that does not (ms). */
const INTERVAL = 2000
const LONGEST_PAUSE = 1000
const SHORTEST_PAUSE = 100

/** The time for which health trusts a trial write that succeeded (ms). */
const WRITE_VALID = 10_000

/** A store that went down within this time (ms) is probed again for a caller, who waits as long for the answer. */
const FRESH = 500
const SECOND_LOOK = 150

/**
 * The circuit breaker of a store. Requests, workers and health read this one state:
 *
 *     down --probe answers--> up --a call or a probe gets no answer--> down
 *
 * While the store is down, calls fail at once, and probes continue with backoff.
 */
export class Availability {
  readonly store: StoreName
  readonly #options: AvailabilityOptions
  readonly #stopped = new AbortController()
  readonly #waiting = new Set<() => void>()
  #up = false
  #reason: unknown = 'not connected yet'
  /** Whether the log states the server's own reason. */
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

  /** Returns the reason why the store is down, or was down the last time. */
  get reason(): unknown {
    return this.#reason
  }

  /**
   * Returns the reason why an available store refuses writes; undefined while it accepts them, or nothing else is
   * known.
   */
  get refusal(): StoreUnavailable | undefined {
    return this.#refusal
  }

  /** Begins to watch the store. Resolves after the first probe, whatever its result. */
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
   * Does `work` if the store is up. Without an answer the store counts as down. Work that is not `trusted` may be slow
   * by itself, so a probe decides.
   * @throws {StoreUnavailable} at once while the store is down, and when `work` gets no answer.
   */
  async run<T>(work: () => Promise<T>, trusted = true): Promise<T> {
    if (!this.#up) throw new StoreUnavailable(this.store, this.#reason)
    try {
      return await work()
    } catch (error) {
      if (isUnavailable(error, this.store)) trusted ? this.#fell(error) : void this.check()
      else if (this.#isFirstSign(error)) void this.takesWrites()
      throw error
    }
  }

  /** Probes the store now, and resolves to whether it is up. Concurrent callers share one probe. */
  readonly check = singleFlight(() => this.#probe())

  /**
   * Probes the store now, and tries a write if it answers. Resolves to whether the store takes writes: a store that
   * takes none may still answer its probes. Concurrent callers share one trial. For a caller whose call has just
   * failed.
   */
  readonly takesWrites = singleFlight(() => this.#tryWrite())

  /**
   * Returns whether the store takes writes, for health. Tries a write when none was tried lately, and waits for it no
   * longer than for a probe. After that wait, what was known before counts.
   */
  async writable(): Promise<boolean> {
    const known = this.#refusal !== undefined || performance.now() - this.#triedAt < WRITE_VALID
    if (!known) await withDeadline(this.takesWrites(), { after: this.#options.timeout, late: () => false })
    return this.#refusal === undefined
  }

  /**
   * Returns whether the store is up, for a caller whose call has just failed. A store that went down only now is probed
   * again, since a single late answer is not an outage.
   */
  async stillUp(): Promise<boolean> {
    if (this.#up) return true
    if (performance.now() - this.#fellAt > FRESH) return false
    return withDeadline(this.check(), { after: SECOND_LOOK, late: () => false })
  }

  /** Resolves when the store is up, or when `signal` aborts. */
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

  /** Returns whether an error may be the first sign that the store refuses writes. */
  #isFirstSign(error: unknown): boolean {
    const refused = error instanceof StoreRefused && !(error instanceof NoFreeConnection)
    return refused && error.store === this.store && this.#refusal === undefined
  }

  async #tryWrite(): Promise<boolean> {
    if (!this.#options.tryWrite) return this.check()
    if (!(await this.check())) return false
    try {
      await this.#options.tryWrite()
      if (this.#refusal !== undefined)
        this.#options.log.info({ store: this.store }, `${this.store} accepts writes again`)
      this.#refusal = undefined
      return true
    } catch (error) {
      if (!isRefusal(error)) return true
      // Open connections may still work, so this is not a refusal.
      if (error instanceof NoNewConnection) return false
      if (this.#refusal === undefined)
        this.#options.log.error({ store: this.store, err: error }, `${this.store} refuses writes`)
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
    // A lost connection has no reason. The answer to the next connection has one, so it is logged too.
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
