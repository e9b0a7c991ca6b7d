import { pause } from './deadline.ts'
import { ConnectionError, OrderstreamError } from './errors.ts'

/** How a call is repeated. Times are in milliseconds. */
export interface RetryOptions {
  /** The most attempts; 1 turns retries off. 6 by default. */
  attempts?: number | undefined
  /** The longest pause after the first attempt. It doubles with each attempt. 200 by default. */
  base?: number | undefined
  /** The longest pause, unless the service asks for a longer one with `Retry-After`. 10,000 by default. */
  max?: number | undefined
  /** No attempt begins later than this after the first one. 60,000 by default. */
  total?: number | undefined
}

/** All settings of retries. */
export type RetrySettings = { [Name in keyof RetryOptions]-?: number }

/** Adds the defaults. */
export function retrySettings(options: RetryOptions = {}): RetrySettings {
  const { attempts = 6, base = 200, max = 10_000, total = 60_000 } = options
  return { attempts, base, max, total }
}

/** Whether the same request may succeed later: no answer, 429 or 503. */
export function isTransient(error: unknown): error is OrderstreamError {
  if (error instanceof ConnectionError) return true
  return error instanceof OrderstreamError && (error.status === 429 || error.status === 503)
}

/** Counts the attempts of one call. */
export class Retries {
  readonly #settings: RetrySettings
  readonly #signal: AbortSignal | undefined
  #attempts = 0
  #begun = performance.now()

  constructor(settings: RetrySettings, signal: AbortSignal | undefined) {
    this.#settings = settings
    this.#signal = signal
  }

  /** Forgets the attempts so far, because the last one made progress. */
  reset(): void {
    this.#attempts = 0
    this.#begun = performance.now()
  }

  /**
   * Waits before the next attempt: a random time with full jitter, after the time that the service asked for.
   * @throws the error, when there is no further attempt; the reason of the signal, when it aborts
   */
  async after(error: OrderstreamError): Promise<void> {
    const { attempts, base, max, total } = this.#settings
    const longest = Math.min(max, base * 2 ** this.#attempts)
    const delay = (error.retryAfter ?? 0) + Math.random() * longest
    this.#attempts++
    const isLast = this.#attempts >= attempts || performance.now() - this.#begun + delay > total
    if (isLast) throw error
    await pause(delay, this.#signal)
  }
}
