/**
 * The signal of one attempt: it aborts with the signal of the caller, and when nothing has happened for too long. An own
 * controller, because `AbortSignal.any` is missing in Node.js 20.0 and in older browsers.
 */
export class Deadline {
  readonly #controller = new AbortController()
  readonly #outer: AbortSignal | undefined
  #timer: ReturnType<typeof setTimeout> | undefined

  /** `longest` is in milliseconds. Without it, there is no limit yet. */
  constructor(outer: AbortSignal | undefined, longest?: number) {
    this.#outer = outer
    outer?.addEventListener('abort', this.#abort)
    if (outer?.aborted) this.#abort()
    if (longest !== undefined) this.extend(longest)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Begins the time again. `longest` is in milliseconds. */
  extend(longest: number): void {
    clearTimeout(this.#timer)
    const fail = () => this.#controller.abort(new Error(`nothing arrived for ${longest} ms`))
    this.#timer = setTimeout(fail, longest)
  }

  /** Stops the time, for example while the caller is busy. */
  stop(): void {
    clearTimeout(this.#timer)
  }

  /** Ends the attempt: stops the timer, and closes what still uses the signal. */
  end(): void {
    clearTimeout(this.#timer)
    this.#outer?.removeEventListener('abort', this.#abort)
    this.#controller.abort()
  }

  #abort = () => this.#controller.abort(this.#outer?.reason)
}

/** Waits some milliseconds. Fails with the reason of the signal when it aborts. */
export function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort)
      resolve()
    }, milliseconds)
    if (signal?.aborted) abort()
    else signal?.addEventListener('abort', abort, { once: true })
  })
}
