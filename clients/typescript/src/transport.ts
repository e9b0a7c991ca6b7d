import { Deadline } from './deadline.ts'
import { ConnectionError, errorOfAnswer, OrderstreamError } from './errors.ts'
import { isTransient, Retries, type RetryOptions, type RetrySettings, retrySettings } from './retries.ts'

/** The options of a client. */
export interface ClientOptions {
  /** The address of the service, with the prefix of its path if it has one: `https://orders.example`. */
  url: string | URL
  /** An API key or a JWT; a function is called for each attempt. Nothing with `AUTH=off`. */
  key?: string | (() => string | Promise<string>) | undefined
  /** Used in place of the global `fetch`. */
  fetch?: typeof globalThis.fetch | undefined
  /** How calls are repeated after 429, 503 and failed connections. */
  retries?: RetryOptions | undefined
  /** How long an attempt may take, besides the time that the service is asked to wait (ms). 30,000 by default. */
  timeout?: number | undefined
}

/** A request to the service. */
export interface Call {
  method: 'GET' | 'POST'
  path: string
  query?: object | undefined
  headers?: Record<string, string>
  body?: string | ReadableStream<Uint8Array>
  signal?: AbortSignal | undefined
  /** How much longer than usual the answer may take (ms). */
  wait?: number
}

/** A successful answer, whose body is not read yet. */
export interface Opened {
  response: Response
  /** Ends when the body was read. */
  deadline: Deadline
}

/** Sends requests to one service. */
export class Transport {
  readonly retries: RetrySettings
  readonly timeout: number
  readonly #base: string
  readonly #key: ClientOptions['key']
  readonly #fetch: typeof globalThis.fetch

  constructor(options: ClientOptions) {
    this.#base = new URL(options.url).href.replace(/\/+$/, '')
    this.#key = options.key
    this.#fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init))
    this.retries = retrySettings(options.retries)
    this.timeout = options.timeout ?? 30_000
  }

  /**
   * Sends a request with a JSON answer until it succeeds. Every request of this client may be repeated, because the id of
   * an order makes it idempotent.
   * @throws {OrderstreamError} when the service refuses it, or after the last attempt
   */
  async request<T>(call: Call): Promise<{ value: T; response: Response }> {
    const retries = new Retries(this.retries, call.signal)
    for (;;) {
      try {
        return await this.#attempt<T>(call)
      } catch (error) {
        if (!isTransient(error)) throw error
        await retries.after(error)
      }
    }
  }

  /**
   * Sends a request once. The caller reads the body, and ends the deadline.
   * @throws {OrderstreamError} when the answer is not a success
   */
  async open(call: Call): Promise<Opened> {
    const headers = new Headers(call.headers)
    const key = typeof this.#key === 'function' ? await this.#key() : this.#key
    if (key) headers.set('authorization', `Bearer ${key}`)
    const deadline = new Deadline(call.signal, this.timeout + (call.wait ?? 0))
    const init = {
      method: call.method,
      headers,
      signal: deadline.signal,
      ...(call.body !== undefined && { body: call.body }),
      ...(call.body instanceof ReadableStream && { duplex: 'half' as const })
    }
    try {
      const response = await this.#fetch(this.#base + call.path + queryText(call.query), init)
      if (!response.ok) throw await errorOfAnswer(response)
      return { response, deadline }
    } catch (error) {
      deadline.end()
      throw failureOf(error, call.signal)
    }
  }

  async #attempt<T>(call: Call): Promise<{ value: T; response: Response }> {
    const { response, deadline } = await this.open(call)
    try {
      return { value: parse(await response.text(), response.status) as T, response }
    } catch (error) {
      throw failureOf(error, call.signal)
    } finally {
      deadline.end()
    }
  }
}

/** Returns what a caller gets for an error of `fetch`: the reason of its own signal, or that the connection failed. */
export function failureOf(error: unknown, signal: AbortSignal | undefined): unknown {
  if (error instanceof OrderstreamError) return error
  if (signal?.aborted) return signal.reason
  return new ConnectionError(`The service did not answer: ${reasonOf(error)}.`, error)
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error && error.cause.message !== '' ? error.cause.message : error.message
}

function parse(text: string, status: number): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new OrderstreamError('The answer is not JSON.', { code: 'invalid-answer', status, cause })
  }
}

function queryText(query: object = {}): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query))
    if (value !== undefined) parameters.set(name, String(value))
  return parameters.size === 0 ? '' : `?${parameters}`
}
