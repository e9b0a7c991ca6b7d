import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import { finished } from 'node:stream/promises'
import type { AddressGuard } from '../address-guard.ts'

/** A request to send. */
export interface WebhookRequest {
  url: string
  headers: Record<string, string>
  body: string
}

/** The outcome of one attempt. */
export interface Attempt {
  /** HTTP status; null without an answer. */
  status: number | null
  /** The time until the head of the answer, or until the failure (ms). */
  duration: number
  /** Why the attempt failed, in a word such as `ECONNREFUSED`; null when there was an answer. */
  error: string | null
  /** The `Retry-After` of the answer (ms); undefined without one. */
  retryAfter: number | undefined
}

/** Sends requests to endpoints. It never fails: an error is an outcome. */
export interface Sender {
  /** `signal` ends the attempt early. */
  send: (request: WebhookRequest, signal: AbortSignal) => Promise<Attempt>
  /** Closes the idle connections. */
  close: () => void
}

/** The dependencies and limits of the sender. Times are in milliseconds. */
export interface SenderOptions {
  guard: Pick<AddressGuard, 'checkTarget' | 'lookup'>
  /** The longest time of an attempt, with DNS and connection. */
  timeout?: number
  /** The bytes of an answer that are read before the connection is closed. */
  mostAnswer?: number
  /** How long the body of an answer may take. */
  answerTime?: number
}

/** How long an unused connection stays open (ms), and how many of them one host may have. */
const IDLE = 30_000
const MOST_IDLE = 4

const USER_AGENT = 'Orderstream-Webhooks/1'

/**
 * Creates the sender. It follows no redirect, always verifies the certificate, and reads only the first bytes of an
 * answer. An address is checked when a connection begins, and an open connection keeps its address.
 */
export function createSender(options: SenderOptions): Sender {
  const { guard, timeout = 15_000, mostAnswer = 16_384, answerTime = 1000 } = options
  const idle = { keepAlive: true, timeout: IDLE, maxFreeSockets: MOST_IDLE }
  const agents = { 'http:': new http.Agent(idle), 'https:': new https.Agent(idle) }

  /** Resolves with the head of the answer. */
  const exchange = ({ url: text, headers, body }: WebhookRequest, signal: AbortSignal) => {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const url = new URL(text)
    guard.checkTarget(url)
    const isPlain = url.protocol === 'http:'
    const request = (isPlain ? http : https).request(url, {
      method: 'POST',
      agent: agents[isPlain ? 'http:' : 'https:'],
      headers: { 'content-type': 'application/json', 'user-agent': USER_AGENT, ...headers },
      lookup: guard.lookup,
      rejectUnauthorized: true,
      signal
    })
    request.on('response', resolve)
    request.on('error', error => reject(Object.assign(error, { reused: request.reusedSocket })))
    // An answer that switches protocols closes the connection without an error.
    request.on('close', () => reject(Object.assign(new Error('no answer'), { code: 'NO_ANSWER' })))
    request.end(body)
    return promise
  }

  return {
    send: async (request, stop) => {
      const began = performance.now()
      const limit = AbortSignal.timeout(timeout)
      const signal = AbortSignal.any([limit, stop])
      const result = { status: null, retryAfter: undefined, error: null }
      const duration = () => Math.round(performance.now() - began)
      try {
        const answer = await exchange(request, signal).catch(error => {
          // The host closed an idle connection just when it was used again.
          if (error.reused && error.code === 'ECONNRESET') return exchange(request, signal)
          throw error
        })
        const { statusCode: status = 0, headers } = answer
        const attempt = { ...result, status, duration: duration(), retryAfter: readRetryAfter(headers) }
        await discard(answer, mostAnswer, answerTime)
        return attempt
      } catch (error) {
        const text = limit.aborted ? 'TIMEOUT' : wordOf(error)
        return { ...result, duration: duration(), error: text }
      }
    },
    close: () => {
      for (const agent of Object.values(agents)) agent.destroy()
    }
  }
}

/** Reads and forgets the body of an answer. Closes the connection when the body is large or slow. */
async function discard(answer: IncomingMessage, most: number, time: number): Promise<void> {
  let bytes = 0
  answer.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > most) answer.destroy()
  })
  const timer = setTimeout(() => answer.destroy(), time)
  await finished(answer).catch(() => {})
  clearTimeout(timer)
}

/** Returns the `Retry-After` of an answer in milliseconds; undefined without a valid one. */
function readRetryAfter({ 'retry-after': text }: IncomingMessage['headers']): number | undefined {
  if (text === undefined) return undefined
  const time = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now()
  return time >= 0 ? time : undefined
}

/** Returns a word for an error, which the log of deliveries shows. */
function wordOf(error: unknown): string {
  const { code, name } = error as NodeJS.ErrnoException
  return (code ?? name).slice(0, 200)
}
