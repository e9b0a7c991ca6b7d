import { setTimeout as delay } from 'node:timers/promises'
import { type Client, NoReply } from './client.ts'
import type { Ledger, OrderHistory } from './ledger.ts'
import { createRandom, type Random } from './random.ts'
import { type Authorize, orderIdOf } from './tenants.ts'

/** Counts of the answers to the reads. */
export interface Reads {
  sent: number
  found: number
  unavailable: number
  noReply: number
  /** The time from the planned start of each answered read to its answer (ms). */
  latencies: number[]
}

/** The dependencies of the reader. */
export interface ReaderOptions {
  seed: number
  /** The number of reads a second. */
  rate: number
  clients: Client[]
  authorize: Authorize
  ledger: Ledger
  signal: AbortSignal
}

const OUTSTANDING = 1000

/** The share of the reads that wait for the final order. */
const WAITING = 0.1

/** The number of latest orders that count as fresh. These are likely to change between two reads. */
const FRESH = 150

/**
 * Reads acknowledged orders at a fixed rate until aborted. Each answer must be the order, or a 503 while a store is
 * unavailable. A 404 is a violation, and so is an unfinished order after an answer that showed it as finished.
 */
export async function runReader(options: ReaderOptions): Promise<Reads> {
  const { seed, rate, clients, ledger, signal } = options
  const reads: Reads = { sent: 0, found: 0, unavailable: 0, noReply: 0, latencies: [] }
  const random = createRandom(seed, 'reads')
  const inFlight = new Set<Promise<void>>()
  const start = performance.now()
  for (let due = start; !signal.aborted; due += 1000 / rate) {
    const early = due - performance.now()
    if (early > 5) await delay(early, undefined, { signal }).catch(() => {})
    if (ledger.acknowledged.length === 0 || inFlight.size >= OUTSTANDING) continue
    const read = readOrder(
      choose(ledger, random),
      random.pick(clients),
      options,
      reads,
      due,
      random.chance(WAITING)
    ).finally(() => inFlight.delete(read))
    inFlight.add(read)
  }
  await Promise.all(inFlight)
  return reads
}

/**
 * Chooses an order: one of the fresh orders in half of the cases, a slightly older order in a quarter, else any order.
 */
function choose({ acknowledged }: Ledger, random: Random): OrderHistory {
  const kind = random.next()
  const back = kind < 0.5 ? FRESH : kind < 0.75 ? 10 * FRESH : acknowledged.length
  return acknowledged[
    random.whole(Math.max(0, acknowledged.length - back), acknowledged.length - 1)
  ] as OrderHistory
}

async function readOrder(
  order: OrderHistory,
  client: Client,
  { ledger, authorize }: ReaderOptions,
  reads: Reads,
  due: number,
  waits: boolean
): Promise<void> {
  reads.sent++
  const began = performance.now()
  try {
    const path = `/orders/${orderIdOf(order.id)}`
    const { status, text } = await client.get(path, {
      ...authorize(order.id),
      ...(waits && { prefer: 'wait=1' })
    })
    if (!waits) reads.latencies.push(performance.now() - due)
    if (status === 200) {
      reads.found++
      ledger.saw(order, text, began, `GET ${client.name}`)
    } else if (status === 503 || status === 429) reads.unavailable++
    else {
      const what =
        status === 404 ? 'an acknowledged order that is not found' : 'an answer that GET never returns'
      ledger.violate('wrong', what, order.id, `GET ${client.name} at ${began.toFixed(0)}: ${status} ${text}`)
    }
  } catch (error) {
    if (!(error instanceof NoReply)) throw error
    reads.noReply++
  }
}

/** Reads some acknowledged orders on every api after all work is done. Each order must be found and finished. */
export async function readAtRest(
  { ledger, clients, authorize, seed }: Pick<ReaderOptions, 'ledger' | 'clients' | 'authorize' | 'seed'>,
  most: number
): Promise<void> {
  const random = createRandom(seed, 'reads at rest')
  const chosen =
    ledger.acknowledged.length <= most
      ? ledger.acknowledged
      : Array.from({ length: most }, () => random.pick(ledger.acknowledged))
  const queue = chosen.values()
  const readAll = async () => {
    for (const order of queue) {
      for (const client of clients) {
        const began = performance.now()
        const reply = await client
          .get(`/orders/${orderIdOf(order.id)}`, authorize(order.id))
          .catch(() => undefined)
        if (reply?.status === 200) ledger.saw(order, reply.text, began, `GET ${client.name} at rest`)
        if (reply?.status !== 200 || reply.text.includes('"status":"processing"'))
          ledger.violate(
            'wrong',
            'an acknowledged order that is not finished at rest',
            order.id,
            `GET ${client.name}: ${reply?.status ?? 'no answer'} ${reply?.text ?? ''}`
          )
      }
    }
  }
  await Promise.all(Array.from({ length: 8 }, readAll))
}
