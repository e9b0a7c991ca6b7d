import type { FastifyBaseLogger } from 'fastify'
import type { NewOrder } from '../../../schema/http/order.ts'
import { createMicroBatch } from '../../async/micro-batch.ts'
import { StoreRefused, StoreUnavailable, UnexplainedStoreError } from '../../stores/errors.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../../streams/keys.ts'
import type { SeenCounters } from '../audit/seen-counters.ts'
import { OrderConflict } from '../errors.ts'
import { amountOf, isDocumentOf, type OrderRecord, renderDocument } from '../order.ts'
import type { OrderStore } from '../tables/order-store.ts'
import { createAppend } from './append.ts'
import { type Candidate, type Origin, toCandidate } from './candidate.ts'
import { createRefusals } from './refusals.ts'
import { spill } from './spill.ts'

/** Most orders that one round trip accepts, and most round trips under way for one partition. */
const ACCEPT_SIZE = 128
const ACCEPT_IN_FLIGHT = 4

/** What holds an accepted order: a disk that has it (`fsync`, `mysql`), or memory until the next sync. */
export type Durability = 'fsync' | 'mysql' | 'memory'

export interface Acceptance {
  document: string
  /** What holds it; undefined when the order was known already, with the same body. */
  accepted: Durability | undefined
}

export interface Intake {
  /**
   * Accepts an order, or finds that it is known.
   * @throws {OrderConflict} when the id names an order with another amount.
   * @throws {BacklogFull} when too much waits already.
   * @throws {StoreUnavailable} when no store said that it was accepted. It was, if only the answer was lost; the same order
   *   again finds out.
   */
  accept: (order: NewOrder, origin: Origin) => Promise<Acceptance>
  /** Why a Redis that answers has refused orders, if it did so lately and has taken none since. */
  refusedBy: () => string | undefined
}

export interface IntakeOptions {
  redis: RedisStore
  mysql: MysqlStore
  store: OrderStore
  keys: Keys
  counters: SeenCounters
  /** Decimal text. */
  taxRate: string
  /** How long one call to Redis may take, in ms. */
  timeout: number
  maxBacklog: number
  log: FastifyBaseLogger
}

/** What became of a candidate: accepted, known, or refused with an error. */
type Result = { accepted: Durability } | { document: string } | { error: Error }

/** Takes orders in: into Redis, or while that is away straight into MySQL, in batches that concurrent requests share. */
export function createIntake(options: IntakeOptions): Intake {
  const { redis, mysql, store, keys } = options
  const append = createAppend(options)
  const refusals = createRefusals(options.log)
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
      refusals.none()
      return answers.map(answer => {
        if (answer.kind === 'accepted') return { accepted: durability }
        return answer.kind === 'full' ? { error: answer.error } : { document: answer.document }
      })
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error
      if (error instanceof StoreRefused) refusals.one(error)
      const known = await spill(mysql, store, candidates)
      return known.map(order =>
        order ? { document: renderDocument(order) } : { accepted: mysql.durable() ? 'mysql' : 'memory' }
      )
    }
  }

  return {
    refusedBy: refusals.reason,
    accept: async (order, origin) => {
      const candidate = toCandidate(order, options.taxRate, origin)
      const batch = batches[keys.partitionOf(order.order_id)] as (typeof batches)[number]
      const result = await batch(candidate)
      if ('error' in result) throw result.error
      if ('accepted' in result) return { document: candidate.document, accepted: result.accepted }
      if (!isDocumentOf(order.order_id, result.document))
        throw new StoreUnavailable('redis', new Error('the document of the order cannot be read'))
      if (amountOf(result.document) !== candidate.order.amount) throw new OrderConflict(order.order_id)
      return { document: result.document, accepted: undefined }
    }
  }
}

/**
 * The rows that exist already: ids are unique forever, also when Redis has forgotten them. While MySQL is away only
 * Redis can tell; an id that it has forgotten is then found out when the message is processed.
 */
async function findRows(
  store: OrderStore,
  mysql: MysqlStore,
  candidates: Candidate[]
): Promise<Map<string, OrderRecord>> {
  const ids = candidates.map(({ order }) => order.order_id)
  for (let attempt = 1; ; attempt++) {
    try {
      const known = await store.known(ids)
      return known.length === 0 ? new Map() : await store.find(known)
    } catch (error) {
      if (error instanceof UnexplainedStoreError) return new Map()
      if (!(error instanceof StoreUnavailable)) throw error
      if (attempt === 2 || !(await mysql.availability.stillUp())) return new Map()
    }
  }
}
