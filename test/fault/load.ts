import { setTimeout as delay } from 'node:timers/promises'
import { until } from '../harness/space.ts'

/** One POST, and what came of it. Times are those of `performance.now()`. */
export interface Answer {
  id: string
  /** When it was to be sent. */
  due: number
  answered: number
  /** 0 when there was no answer. */
  status: number
  /** `''` unless the order was accepted. */
  durability: string
  /** Seconds; 0 when it is not said. */
  retryAfter: number
}

export interface Load {
  /** In the order in which they came. */
  answers: Answer[]
  /** Ends the arrivals; resolves when each has its answer. */
  stop: () => Promise<Answer[]>
}

/** An amount of an order that a test sends; the id tells which. */
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
    // No answer: that is what the status 0 says.
  }
  return { ...answer, answered: performance.now() }
}

/**
 * Sends order after order until one is answered as wanted; gives all the answers, with that one as the last. Each has an
 * id of its own: one that was refused may be known all the same, and be answered differently for that.
 */
export async function sendUntil(
  url: string,
  prefix: string,
  wanted: (answer: Answer) => boolean
): Promise<Answer[]> {
  const answers: Answer[] = []
  await until(`an order of ${prefix} is answered as wanted`, async () => {
    const answer = await send(url, `${prefix}-${answers.length}`)
    answers.push(answer)
    return wanted(answer)
  })
  return answers
}

/** The ids of these orders. */
export const idsIn = (answers: Answer[]): string[] => answers.map(({ id }) => id)

/** The ids of those of them that were accepted. */
export const acceptedIn = (answers: Answer[]): string[] =>
  idsIn(answers.filter(({ status }) => status === 202))

/** Posts `rate` new orders a second by the clock and not by the answers: what is slow gets as many as what is quick. */
export function startLoad(url: string, rate: number, prefix: string): Load {
  const answers: Answer[] = []
  const underWay = new Set<Promise<void>>()
  const stopping = new AbortController()
  const began = performance.now()

  const post = async (id: string, due: number) => {
    answers.push({ ...(await send(url, id)), due })
  }
  const arrivals = (async () => {
    for (let sent = 0; !stopping.signal.aborted; ) {
      for (; began + (sent * 1000) / rate <= performance.now(); sent++) {
        const posting = post(`${prefix}-${sent}`, began + (sent * 1000) / rate).finally(() =>
          underWay.delete(posting)
        )
        underWay.add(posting)
      }
      await delay(5, undefined, { signal: stopping.signal }).catch(() => {})
    }
  })()

  return {
    answers,
    stop: async () => {
      stopping.abort()
      await arrivals
      await Promise.all(underWay)
      return answers
    }
  }
}

/** How long answers took, in milliseconds. */
export interface Latency {
  count: number
  p50: number
  p99: number
  longest: number
}

export function latencyOf(answers: Answer[]): Latency {
  const times = answers.map(({ due, answered }) => answered - due).sort((a, b) => a - b)
  const at = (part: number) => Math.round(times[Math.ceil(times.length * part) - 1] ?? 0)
  return { count: times.length, p50: at(0.5), p99: at(0.99), longest: at(1) }
}

/** The share of the answers that have this status. */
export function shareOf(answers: Answer[], status: number): number {
  return answers.filter(answer => answer.status === status).length / answers.length
}
