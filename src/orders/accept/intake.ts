import type { FastifyBaseLogger } from 'fastify'
import type { Currency } from '../../../schema/http/currency.ts'
import { DEFAULT_TENANT } from '../../../schema/http/key.ts'
import type { NewOrder } from '../../../schema/http/order.ts'
import { isoNow } from '../../async/clock.ts'
import { createMicroBatch } from '../../async/micro-batch.ts'
import { StoreRefused, StoreUnavailable } from '../../stores/errors.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../../streams/keys.ts'
import type { Watermarks } from '../audit/watermarks.ts'
import { InvalidOrder, OrderConflict, TenantsUnknown } from '../errors.ts'
import { identityOf } from '../identity.ts'
import { hasBodyOf, isDocumentOf, renderDocument } from '../order.ts'
import type { OrderStore } from '../tables/order-store.ts'
import type { TaxRates } from '../tax/tax-rates.ts'
import { type Appended, createAppend } from './append.ts'
import { type Candidate, type Origin, toCandidate } from './candidate.ts'
import { checkOrder } from './check-order.ts'
import { keepUnreplicated } from './keep-unreplicated.ts'
import { createRefusals } from './refusals.ts'
import type { Durability, Result } from './result.ts'
import { createRowSearch } from './row-search.ts'
import { spill } from './spill.ts'

/** The most orders of one micro-batch. */
const ACCEPT_SIZE = 128
/** The most micro-batches that run at the same time for one partition. */
const ACCEPT_IN_FLIGHT = 4

/** The result for an order that is accepted now, or that exists already with the same body. */
export interface Acceptance {
  document: string
  /** Undefined when the order exists already. */
  durability: Durability | undefined
}

/** Accepts orders, for one api process. */
export interface Intake {
  /**
   * Accepts an order, or finds the existing order with the same id.
   * @throws {InvalidOrder} when the order breaks a rule of `checkOrder`, or its region has no tax rate.
   * @throws {OrderConflict} when an order with the same id and another body exists.
   * @throws {BacklogFull} when too many messages wait.
   * @throws {TenantsUnknown} when the order is of a tenant other than the default one, and a running process may not
   * support tenants.
   * @throws {StoreUnavailable} when no store confirms the order. The order may be accepted. The client can send it
   * again.
   */
  accept: (order: NewOrder, origin: Origin) => Promise<Acceptance>
  /** Returns the reason why Redis refuses orders while it is available. Returns undefined when it accepts orders. */
  refusedBy: () => string | undefined
}

/** The dependencies of the intake. */
export interface IntakeOptions {
  redis: RedisStore
  mysql: MysqlStore
  store: OrderStore
  keys: Keys
  watermarks: Watermarks
  /** The tax rate of orders without a region; decimal text. */
  taxRate: string
  /** The tax rates of the regions. */
  taxRates: Pick<TaxRates, 'rateOf'>
  /** Returns whether every running process supports tenants. */
  knowsTenants: () => boolean
  /** The currency of orders that are sent without a currency. */
  defaultCurrency: Currency | undefined
  /** The longest time that a call to a store may take (ms). */
  timeout: number
  /** The number of replicas that must have an accepted order. */
  minReplicas: number
  /** The most messages that may wait, over all partitions. */
  maxBacklog: number
  /** The most bytes of large messages that may wait, over all partitions. */
  maxBacklogBytes: number
  /** Counts the outcome of a request. */
  count: (outcome: 'accepted' | 'replayed' | 'conflict') => void
  log: FastifyBaseLogger
}

/**
 * Creates the intake. It accepts orders in Redis. While Redis is unavailable or refuses orders, it spills them.
 * Concurrent requests go into micro-batches.
 */
export function createIntake(options: IntakeOptions): Intake {
  const { redis, mysql, store, keys, count, defaultCurrency, knowsTenants, timeout } = options
  const append = createAppend(options)
  const refusals = createRefusals(options.log, () => redis.masters().some(({ facts }) => facts().evicts))
  const batches = Array.from({ length: keys.partitions }, (_, partition) =>
    createMicroBatch<Candidate, Result>({
      size: ACCEPT_SIZE,
      inFlight: ACCEPT_IN_FLIGHT,
      run: candidates => acceptBatch(candidates, partition)
    })
  )

  const rowsOf = createRowSearch(options)
  const acceptBatch = async (candidates: Candidate[], partition: number): Promise<Result[]> => {
    const rows = await rowsOf(candidates)
    if (rows.size === 0) return appendOrSpill(candidates, partition)
    const unknown = candidates.filter(({ order }) => !rows.has(identityOf(order)))
    const answers = unknown.length === 0 ? [] : await appendOrSpill(unknown, partition)
    let next = 0
    return candidates.map(({ order }) => {
      const row = rows.get(identityOf(order))
      return row ? { document: renderDocument(row) } : (answers[next++] as Result)
    })
  }

  const appendOrSpill = async (candidates: Candidate[], partition: number): Promise<Result[]> => {
    try {
      const answers = await append(candidates, partition)
      refusals.clear(partition)
      const kept = await keepUnreplicated(answers, candidates, partition, options)
      return answers.map((answer, index) => kept.get(index) ?? toResult(answer as SafeAnswer))
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error
      if (error instanceof StoreRefused) refusals.record(error, partition)
      const known = await spill(mysql, store, candidates, timeout)
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
      if (origin.tenant !== DEFAULT_TENANT && !knowsTenants()) throw new TenantsUnknown()
      const at = isoNow()
      const candidate = toCandidate(order, rateOf(order.region, at, options), origin, at)
      const batch = batches[keys.partitionOf(identityOf(candidate.order))] as (typeof batches)[number]
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

/** An answer about an order that needs no row in MySQL. */
type SafeAnswer = Exclude<Appended, { kind: 'unreplicated' }>

function toResult(answer: SafeAnswer): Result {
  if (answer.kind === 'accepted') return { accepted: answer.durability }
  return answer.kind === 'full' ? { error: answer.error } : { document: answer.document }
}

/**
 * Returns the tax rate of a region at a time, as decimal text. Returns `taxRate` for an order without a region.
 * @throws {InvalidOrder} when the region has no tax rate at that time.
 */
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
