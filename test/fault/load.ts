import { setTimeout as delay } from 'node:timers/promises'
import { until } from '../harness/space.ts'

/** One POST with its answer. Times are those of `performance.now()`. */
export interface Answer {
  id: string
  /** The time when it should have been sent. */
  due: number
  answered: number
  /** 0 without an answer. */
  status: number
  /** Empty unless the order was accepted. */
  durability: string
  /** Seconds; 0 without the header. */
  retryAfter: number
}

/** Orders that are being sent. */
export interface Load {
  /** In the order of their arrival. */
  answers: Answer[]
  /** Sends no more orders, and resolves when each has its answer. */
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
    // The status stays 0.
  }
  return { ...answer, answered: performance.now() }
}

/**
 * Sends orders one by one until an answer is `wanted`. Returns all answers; the wanted one is the last. Each order has
 * an id of its own, because an order that was refused may be known and then gets another answer.
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
