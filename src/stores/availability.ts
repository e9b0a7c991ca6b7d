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
  /** Resolves when the store can be used. It first does what a new connection needs: migrations and checks. */
  probe: () => Promise<void>
  /**
   * Tries a write that changes nothing. Rejects when the store refuses writes, or for another reason. Without this
   * option, a store that answers its probe counts as one that accepts writes.
   */
  tryWrite?: () => Promise<void>
  /** The longest time of a probe, in milliseconds. */
  timeout: number
}

/**
 * The pause between probes of an available store, and the shortest and the longest pause between probes of an
 * unavailable store (ms).
 */
const INTERVAL = 2000
const LONGEST_PAUSE = 1000
const SHORTEST_PAUSE = 100

/** The time for which health trusts a trial write that succeeded (ms). */
const WRITE_VALID = 10_000

/**
 * When the store became unavailable less than this time ago (ms), a caller's check probes it again and waits for the
 * answer.
 */
const FRESH = 500
const SECOND_LOOK = 150

/** The state of a store: the part of its availability that waits and health use. */
export type StoreState = Pick<Availability, 'store' | 'up' | 'reason' | 'check' | 'takesWrites' | 'untilUp'>

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

  /** Returns the reason why the store is unavailable, or was unavailable the last time. */
  get reason(): unknown {
    return this.#reason
  }

  /**
   * Returns the reason why an available store refuses writes. Returns undefined while the store accepts writes, and
   * when no write was tried.
   */
  get refusal(): StoreUnavailable | undefined {
    return this.#refusal
  }

  /** Starts the probes. Resolves after the first probe, whatever its result is. */
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
   * Runs `work` if the store is available. When `work` gets no answer, the store counts as unavailable. Work that is
   * not `trusted` may be slow for its own reasons, so a probe decides.
   * @throws {StoreUnavailable} at once while the store is unavailable, and when `work` gets no answer.
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

  /** Probes the store now. Resolves to whether the store is available. Concurrent callers wait for the same probe. */
  readonly check = singleFlight(() => this.#probe())

  /**
   * Probes the store now, and tries a write if the store answers. Resolves to whether the store accepts writes: a store
   * that refuses writes may still answer probes. Concurrent callers wait for the same trial. Use it right after a call
   * has failed.
   */
  readonly takesWrites = singleFlight(() => this.#tryWrite())

  /**
   * Returns whether the store accepts writes, for health. Tries a write when the last trial is too old. Waits for the
   * trial no longer than for a probe. After that time, it returns the last known result.
   */
  async writable(): Promise<boolean> {
    const known = this.#refusal !== undefined || performance.now() - this.#triedAt < WRITE_VALID
    if (!known) await withDeadline(this.takesWrites(), { after: this.#options.timeout, late: () => false })
    return this.#refusal === undefined
  }

  /**
   * Returns whether the store is available. Use it right after a call has failed. A store that became unavailable only
   * now is probed again, because one late answer is not an outage.
   */
  async stillUp(): Promise<boolean> {
    if (this.#up) return true
    if (performance.now() - this.#fellAt > FRESH) return false
    return withDeadline(this.check(), { after: SECOND_LOOK, late: () => false })
  }

  /** Resolves when the store is available, or when `signal` aborts. */
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
    // The error of a lost connection has no reason. The answer to the next connection has a reason, so that answer is
    // logged, too.
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
