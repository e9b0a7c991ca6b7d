import { setTimeout as delay } from 'node:timers/promises'
import { until } from '../harness/space.ts'

/** One POST with its answer. Times are those of `performance.now()`. */
export interface Answer {
  id: string
  /** The time when the POST was due. */
  due: number
  answered: number
  /** The status, or 0 without an answer. */
  status: number
  /** The Durability header, empty unless the order was accepted. */
  durability: string
  /** The Retry-After header in seconds, or 0 without the header. */
  retryAfter: number
}

/** A running load of orders. */
export interface Load {
  /** The answers, in the order of their arrival. */
  answers: Answer[]
  /** Stops sending orders, and resolves when each order has its answer. */
  stop: () => Promise<Answer[]>
}

/** The amount of most orders that the tests send. */
export const AMOUNT = 12.5

/** Sends one order. */
export async function send(url: string, id: string, amount: number | string = AMOUNT): Promise<Answer> {
  const due = performance.now()
  const answer = { id, due, status: 0, durability: '', retryAfter: 0 }
  try {
    const response = await fetch(`${url}/orders`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ order_id: id, amount })
    })
    await response.arrayBuffer()
    answer.status = response.status
    answer.durability = response.headers.get('durability') ?? ''
    answer.retryAfter = Number(response.headers.get('retry-after') ?? 0)
  } catch {
    // An order without an answer keeps the status 0.
  }
  return { ...answer, answered: performance.now() }
}

/**
 * Sends orders one by one until an answer is `wanted`. Returns all answers, the wanted one last. Each order has an id
 * of its own, because the service may know a refused order and answer its id differently.
 */
export async function sendUntil(
  url: string,
  prefix: string,
  wanted: (answer: Answer) => boolean
): Promise<Answer[]> {
  const answers: Answer[] = []
  await until(`an order of ${prefix} gets the wanted answer`, async () => {
    const answer = await send(url, `${prefix}-${answers.length}`)
    answers.push(answer)
    return wanted(answer)
  })
  return answers
}

/** The ids of these orders. */
export const idsIn = (answers: Answer[]): string[] => answers.map(({ id }) => id)

/** The ids of the accepted orders. */
export const acceptedIn = (answers: Answer[]): string[] =>
  idsIn(answers.filter(({ status }) => status === 202))

/** Posts `rate` new orders a second, without waiting for answers: a slow service gets as many as a fast one. */
export function startLoad(url: string, rate: number, prefix: string): Load {
  const answers: Answer[] = []
  const inFlight = new Set<Promise<void>>()
  const stopping = new AbortController()
  const began = performance.now()

  const post = async (id: string, due: number) => {
    answers.push({ ...(await send(url, id)), due })
  }
  const arrivals = (async () => {
    for (let sent = 0; !stopping.signal.aborted; ) {
      for (; began + (sent * 1000) / rate <= performance.now(); sent++) {
        const posting = post(`${prefix}-${sent}`, began + (sent * 1000) / rate).finally(() =>
          inFlight.delete(posting)
        )
        inFlight.add(posting)
      }
      await delay(5, undefined, { signal: stopping.signal }).catch(() => {})
    }
  })()

  return {
    answers,
    stop: async () => {
      stopping.abort()
      await arrivals
      await Promise.all(inFlight)
      return answers
    }
  }
}

/** Returns the times that the answers took, in milliseconds. */
export interface Latency {
  count: number
  p50: number
  p99: number
  longest: number
}

/** The latency of the answers, from the time when each order was due. */
export function latencyOf(answers: Answer[]): Latency {
  const times = answers.map(({ due, answered }) => answered - due).sort((a, b) => a - b)
  const at = (part: number) => Math.round(times[Math.ceil(times.length * part) - 1] ?? 0)
  return { count: times.length, p50: at(0.5), p99: at(0.99), longest: at(1) }
}

/** The share of the answers that have this status. */
export function shareOf(answers: Answer[], status: number): number {
  return answers.filter(answer => answer.status === status).length / answers.length
}
