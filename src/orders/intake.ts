import { randomUUID } from 'node:crypto'
import type { NewOrder } from '../../schema/order.ts'
import { ORDER_PLACED_VERSION, type OrderPlaced } from '../../schema/order-placed.ts'
import { StoreUnavailable } from '../stores/errors.ts'
import type { RedisStore } from '../stores/redis.ts'
import { createRedisClock } from '../stores/redis-clock.ts'
import { loadScript } from '../stores/script.ts'
import type { Keys } from '../streams/keys.ts'
import { OrderConflict } from './errors.ts'
import { createMicroBatch } from './micro-batch.ts'
import { canonicalAmount } from './money.ts'
import { amountOf, type OrderRecord, renderDocument } from './order.ts'
import type { OrderStore } from './order-store.ts'
import type { OrderReader } from './reader.ts'

const acceptScript = loadScript(new URL('accept.lua', import.meta.url))

/** Most orders that one script call accepts, and most calls under way for one partition. */
const ACCEPT_SIZE = 128
const ACCEPT_IN_FLIGHT = 2

/** Where a request came from; it travels with the message. */
export interface Origin {
  requestId: string
  /** W3C traceparent, or '' for none. */
  traceparent: string
}

export interface Acceptance {
  document: string
  /** False when the order was known already, with the same body. */
  accepted: boolean
  /** What holds a newly accepted order: a disk that has it (`fsync`), or Redis's memory until its next sync. */
  durability: 'fsync' | 'memory'
}

export interface Intake {
  /**
   * Accepts an order, or finds that it is known.
   * @throws {OrderConflict} when the id names an order with another amount.
   * @throws {StoreUnavailable} when it was not accepted, and will not be.
   */
  accept: (order: NewOrder, origin: Origin) => Promise<Acceptance>
}

export interface IntakeOptions {
  redis: RedisStore
  store: OrderStore
  reader: OrderReader
  keys: Keys
  /** Decimal text. */
  taxRate: string
  /** How long one call to Redis may take, in ms; an accept that has not begun by then never happens. */
  timeout: number
}

interface Candidate {
  id: string
  amount: string
  document: string
  data: string
  origin: Origin
}

/** A known order, or undefined for one that was accepted just now. */
type Known = { document: string } | undefined

/** Takes orders in: unknown ids only, in batches that concurrent requests share. */
export function createIntake(options: IntakeOptions): Intake {
  const { redis, store, reader, keys } = options
  const batches = Array.from({ length: keys.partitions }, (_, partition) =>
    createMicroBatch<Candidate, Known>({
      size: ACCEPT_SIZE,
      inFlight: ACCEPT_IN_FLIGHT,
      run: candidates => acceptBatch(candidates, partition)
    })
  )
  const clock = createRedisClock()

  const acceptBatch = async (candidates: Candidate[], partition: number): Promise<Known[]> => {
    const rows = await findRows(store, candidates)
    const unknown = candidates.filter(({ id }) => !rows.has(id))
    const answers = unknown.length > 0 ? await append(unknown, partition) : []
    const byCandidate = new Map(unknown.map((candidate, index) => [candidate, answers[index] as string]))
    return candidates.map(candidate => {
      const row = rows.get(candidate.id)
      const document = row ? renderDocument(row) : byCandidate.get(candidate)
      return document ? { document } : undefined
    })
  }

  /** Runs the script for ids that MySQL does not know; gives '' for an accepted order, else its document. */
  const append = (candidates: Candidate[], partition: number): Promise<string[]> =>
    redis.run(async client => {
      const deadline = (clock.now() ?? (await readTime(redis))) + options.timeout
      const [now, answers] = (await acceptScript(
        client,
        [
          keys.stream('placed', partition),
          keys.accepted(partition),
          ...candidates.map(({ id }) => keys.document(id))
        ],
        [
          deadline,
          ORDER_PLACED_VERSION,
          randomUUID(),
          ...candidates.flatMap(({ document, data, origin }) => [
            document,
            data,
            origin.requestId,
            origin.traceparent
          ])
        ]
      )) as [number, string[] | '']
      clock.saw(now)
      if (answers === '')
        throw new StoreUnavailable('redis', new Error('the call arrived after its deadline'))
      return answers
    })

  return {
    accept: async (order, origin) => {
      const candidate = toCandidate(order, options.taxRate, origin)
      const batch = batches[keys.partitionOf(candidate.id)] as (typeof batches)[number]
      const known = await batch(candidate)
      if (!known)
        return { document: candidate.document, accepted: true, durability: redis.facts().durability }
      if (amountOf(known.document) !== candidate.amount) throw new OrderConflict(candidate.id)
      const { document } = await reader.confirm(candidate.id, known.document)
      return { document, accepted: false, durability: redis.facts().durability }
    }
  }
}

/** An order as it will stand if it is accepted, and the message about it. */
function toCandidate(order: NewOrder, taxRate: string, origin: Origin): Candidate {
  const now = new Date().toISOString()
  const amount = canonicalAmount(order.amount)
  const record: OrderRecord = {
    order_id: order.order_id,
    amount,
    tax: null,
    total: null,
    status: 'processing',
    created_at: now,
    updated_at: now,
    processed_at: null
  }
  const message: OrderPlaced = { order_id: order.order_id, amount, tax_rate: taxRate, accepted_at: now }
  return {
    id: order.order_id,
    amount,
    document: renderDocument(record),
    data: JSON.stringify(message),
    origin
  }
}

/**
 * The rows that exist already: ids are unique forever, also when Redis has forgotten them. While MySQL is away only
 * Redis can tell; an id that it has forgotten is then found out when the message is processed.
 */
async function findRows(store: OrderStore, candidates: Candidate[]): Promise<Map<string, OrderRecord>> {
  try {
    return await store.find(candidates.map(({ id }) => id))
  } catch (error) {
    if (error instanceof StoreUnavailable) return new Map()
    throw error
  }
}

async function readTime({ client }: RedisStore): Promise<number> {
  const [seconds, microseconds] = await client.time()
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)
}
