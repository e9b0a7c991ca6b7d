import type { FastifyBaseLogger } from 'fastify'
import type { Currency } from '../../../schema/http/currency.ts'
import type { NewOrder } from '../../../schema/http/order.ts'
import { isoNow } from '../../async/clock.ts'
import { createMicroBatch } from '../../async/micro-batch.ts'
import { StoreRefused, StoreUnavailable, UnexplainedStoreError } from '../../stores/errors.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../../streams/keys.ts'
import type { Watermarks } from '../audit/watermarks.ts'
import { InvalidOrder, OrderConflict } from '../errors.ts'
import { hasBodyOf, isDocumentOf, type OrderRecord, renderDocument } from '../order.ts'
import type { OrderStore } from '../tables/order-store.ts'
import type { TaxRates } from '../tax/tax-rates.ts'
import { createAppend } from './append.ts'
import { type Candidate, type Origin, toCandidate } from './candidate.ts'
import { checkOrder } from './check-order.ts'
import { createRefusals } from './refusals.ts'
import { spill } from './spill.ts'

/** Most orders of one round trip, and most round trips in flight for one partition. */
const ACCEPT_SIZE = 128
const ACCEPT_IN_FLIGHT = 4

/**
 * The place where an accepted order is safe: on a disk (`fsync`: Redis's, `mysql`), or only in memory until the next
 * sync.
 */
export type Durability = 'fsync' | 'mysql' | 'memory'

/** The answer to an order that is accepted or known. */
export interface Acceptance {
  document: string
  /** Undefined when the order was known, with the same body. */
  durability: Durability | undefined
}

/** Accepts orders, for one api process. */
export interface Intake {
  /**
   * Accepts an order, or finds the order that its id names.
   * @throws {InvalidOrder} when the order contradicts itself, or its region has no tax rate.
   * @throws {OrderConflict} when the id names an order with another body.
   * @throws {BacklogFull} when too many messages wait.
   * @throws {StoreUnavailable} when no store confirms the order. It may still be accepted; sending it again shows that.
   */
  accept: (order: NewOrder, origin: Origin) => Promise<Acceptance>
  /** Returns the reason why an available Redis refuses orders; undefined when it does not. */
  refusedBy: () => string | undefined
}

/** The dependencies of the intake. */
export interface IntakeOptions {
  redis: RedisStore
  mysql: MysqlStore
  store: OrderStore
  keys: Keys
  watermarks: Watermarks
  /** The rate of orders without a region; decimal text. */
  taxRate: string
  /** The rates of the regions. */
  taxRates: Pick<TaxRates, 'rateOf'>
  /** The currency of orders that are sent without one. */
  defaultCurrency: Currency | undefined
  /** The longest time that a call to Redis may take (ms). */
  timeout: number
  /** Most messages that may wait, over all partitions. */
  maxBacklog: number
  /** Counts the outcome of an order that was sent. */
  count: (outcome: 'accepted' | 'replayed' | 'conflict') => void
  log: FastifyBaseLogger
}

/** The result for a candidate: accepted, known, or refused with an error. */
type Result = { accepted: Durability } | { document: string } | { error: Error }

/**
 * Creates the intake. It accepts in Redis, or in MySQL while Redis is unavailable. Concurrent requests share batches.
 */
export function createIntake(options: IntakeOptions): Intake {
  const { redis, mysql, store, keys, count, defaultCurrency } = options
  const append = createAppend(options)
  const refusals = createRefusals(options.log, () => redis.facts().evicts)
  const batches = Array.from({ length: keys.partitions }, (_, partition) =>
    createMicroBatch<Candidate, Result>({
      size: ACCEPT_SIZE,
      inFlight: ACCEPT_IN_FLIGHT,
      run: candidates => acceptBatch(candidates, partition)
    })
  )

  const acceptBatch = async (candidates: Candidate[], partition: number): Promise<Result[]> => {
    const rows = await findRows(store, mysql, candidates)
    if (rows.size === 0) return appendOrSpill(candidates, partition)
    const unknown = candidates.filter(({ order }) => !rows.has(order.order_id))
    const answers = unknown.length === 0 ? [] : await appendOrSpill(unknown, partition)
    let next = 0
    return candidates.map(({ order }) => {
      const row = rows.get(order.order_id)
      return row ? { document: renderDocument(row) } : (answers[next++] as Result)
    })
  }

  const appendOrSpill = async (candidates: Candidate[], partition: number): Promise<Result[]> => {
    try {
      const durability = redis.facts().durability
      const answers = await append(candidates, partition)
      refusals.clear()
      return answers.map(answer => {
        if (answer.kind === 'accepted') return { accepted: durability }
        return answer.kind === 'full' ? { error: answer.error } : { document: answer.document }
      })
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error
      if (error instanceof StoreRefused) refusals.record(error)
      const known = await spill(mysql, store, candidates)
      return known.map(order =>
        order ? { document: renderDocument(order) } : { accepted: mysql.durable() ? 'mysql' : 'memory' }
      )
    }
  }

  return {
    refusedBy: refusals.reason,
    accept: async (body, origin) => {
      const order = defaultCurrency === undefined ? body : { currency: defaultCurrency, ...body }
      checkOrder(order)
      const at = isoNow()
      const candidate = toCandidate(order, rateOf(order.region, at, options), origin, at)
      const batch = batches[keys.partitionOf(order.order_id)] as (typeof batches)[number]
      const result = await batch(candidate)
      if ('error' in result) throw result.error
      if ('accepted' in result) {
        count('accepted')
        return { document: candidate.document, durability: result.accepted }
      }
      if (!isDocumentOf(order.order_id, result.document))
        throw new StoreUnavailable('redis', new Error('the document of the order cannot be read'))
      if (!hasBodyOf(candidate.order, result.document)) {
        count('conflict')
        throw new OrderConflict(order.order_id)
      }
      count('replayed')
      return { document: result.document, durability: undefined }
    }
  }
}

/**
 * Finds the rows that exist: an id is unique forever, also when Redis has forgotten it. Finds none while MySQL is
 * unavailable: processing then recognises an id that Redis has forgotten.
 */
async function findRows(
  store: OrderStore,
  mysql: MysqlStore,
  candidates: Candidate[]
): Promise<Map<string, OrderRecord>> {
  const ids = candidates.map(({ order }) => order.order_id)
  for (let attempt = 1; ; attempt++) {
    try {
      const known = await store.findIds(ids)
      return known.length === 0 ? new Map() : await store.find(known)
    } catch (error) {
      if (error instanceof UnexplainedStoreError) return new Map()
      if (!(error instanceof StoreUnavailable)) throw error
      if (attempt === 2 || !(await mysql.availability.stillUp())) return new Map()
    }
  }
}

/** The tax rate of a region at a time; that of orders without a region where it is undefined. Decimal text. */
function rateOf(
  region: string | undefined,
  at: string,
  { taxRate, taxRates }: Pick<IntakeOptions, 'taxRate' | 'taxRates'>
): string {
  if (region === undefined) return taxRate
  const rate = taxRates.rateOf(region, at)
  if (rate !== undefined) return rate
  throw new InvalidOrder([{ pointer: '/region', detail: `the region ${region} has no tax rate` }])
}
