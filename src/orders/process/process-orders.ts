import type { FastifyBaseLogger } from 'fastify'
import { DEFAULT_TENANT } from '../../../schema/http/key.ts'
import type { OrderPlaced } from '../../../schema/messages/order-placed.ts'
import { isoNow } from '../../async/clock.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import {
  type BatchContext,
  type BatchResult,
  codeOf,
  type FailedMessage,
  type Message,
  TerminalError
} from '../../streams/function.ts'
import type { Keys } from '../../streams/keys.ts'
import { OrderConflict } from '../errors.ts'
import { failureOf } from '../failure.ts'
import { identityOf } from '../identity.ts'
import type { OrderRecord } from '../order.ts'
import { complete, fail } from '../pricing.ts'
import type { ToPublication } from '../publication.ts'
import type { OrderStore } from '../tables/order-store.ts'
import { addToTimeline, type TimelineEntry } from '../tables/timeline.ts'
import type { WriteOutcome } from './plan-writes.ts'
import { writeOrders } from './write-orders.ts'

/** The processor of the messages of `placed`. */
export interface OrderProcessor {
  /**
   * Prices orders and writes them to MySQL. Returns the documents and events to write in the step that
   * settles the messages.
   */
  process: (messages: Message<OrderPlaced>[], context: BatchContext) => Promise<BatchResult>
  /**
   * Writes orders as failed before their messages become dead letters. Returns the documents and events to
   * write in the step that dead-letters the messages.
   */
  fail: (dead: FailedMessage<OrderPlaced>[], context: BatchContext) => Promise<BatchResult>
  /** Adds failed attempts to the timelines of orders that are tried again. */
  retry: (failed: FailedMessage<OrderPlaced>[]) => Promise<void>
}

/** The dependencies of the processor. */
export interface OrderProcessorOptions {
  mysql: MysqlStore
  store: OrderStore
  keys: Keys
  toPublication: ToPublication
}

/** Creates the processor. Its functions throw {StoreUnavailable} when MySQL is unavailable. */
export function createOrderProcessor(options: OrderProcessorOptions): OrderProcessor {
  const { mysql, store, keys, toPublication } = options

  const write = async (
    messages: Message<OrderPlaced>[],
    toOrder: (message: Message<OrderPlaced>) => OrderRecord,
    log: FastifyBaseLogger
  ): Promise<Required<BatchResult>> => {
    const result: Required<BatchResult> = { writes: [], events: [], duplicates: [], failed: [] }
    if (messages.length === 0) return result
    const outcomes = await writeOrders(
      mysql,
      messages.map(message => ({
        order: toOrder(message),
        messageId: message.id,
        requestId: message.requestId,
        redriven: message.redriven,
        redrive: message.redrive,
        ordinal: message.ordinal,
        partition: keys.partitionOf(identityOf(message.body))
      }))
    )
    for (const [index, message] of messages.entries()) {
      const outcome = outcomes[index] as WriteOutcome
      const { kind, order } = outcome
      if (order.status !== 'processing') publish(result, message, order)
      if (kind === 'duplicate') result.duplicates.push(message)
      const cause = failureAfter(outcome, message)
      if (cause) result.failed.push({ message, cause })
      log.debug(
        { order_id: identityOf(order), request_id: message.requestId, outcome: kind },
        'order processed'
      )
    }
    return result
  }

  /**
   * Adds an order's document and event to the result. Redis publishes no event when it already has the final document.
   * The event of a redriven message is always published: before the message is settled, a GET may have written the
   * final document from the row.
   */
  const publish = (
    { writes, events }: Required<BatchResult>,
    message: Message<OrderPlaced>,
    order: OrderRecord
  ) => {
    const { write, event } = toPublication(order, message.traceparent)
    writes.push({ message, ...write })
    events.push({ message, ...event, unless: message.redriven ? '' : event.unless })
  }

  return {
    process: (messages, { log }) => {
      const now = isoNow()
      return write(messages, ({ body }) => complete(body, now), log)
    },
    fail: async (dead, { log }) => {
      const now = isoNow()
      const causes = new Map(dead.map(({ message, cause }) => [message, cause]))
      const failed = dead.filter(({ cause }) => !['invalid', 'conflict'].includes(codeOf(cause)))
      const result = await write(
        failed.map(({ message }) => message),
        message => fail(message.body, failureOf(causes.get(message) as Error), now),
        log
      )
      for (const { message, order } of await findOrdersInConflict(store, dead))
        publish(result, message, order)
      return result
    },
    retry: failed =>
      mysql.transaction(transaction => addToTimeline(transaction, failed.flatMap(toRetryEntries)), 'short')
  }
}

/** Returns the entries of a failed attempt, and of the redrive that it follows. */
function toRetryEntries({
  message: { body, attempt, requestId, redrive }
}: FailedMessage<OrderPlaced>): TimelineEntry[] {
  const { order_id, tenant = DEFAULT_TENANT } = body
  const retried = { order_id, tenant, time: isoNow(), type: 'retried' as const, requestId, attempt }
  if (!redrive) return [retried]
  return [{ order_id, tenant, time: redrive.at, type: 'redriven', requestId: redrive.requestId }, retried]
}

/**
 * Finds the final orders that conflict with dead letters. Redis may still have the document of the refused body, so
 * the final document is written again. The event is published with it: the message that finished the order may not be
 * settled yet. That message then finds the final document in Redis, and publishes no event.
 */
async function findOrdersInConflict(store: OrderStore, dead: FailedMessage<OrderPlaced>[]) {
  const refused = dead.filter(({ cause }) => codeOf(cause) === 'conflict').map(({ message }) => message)
  if (refused.length === 0) return []
  const rows = await store.find(refused.map(({ body }) => identityOf(body)))
  return refused.flatMap(message => {
    const order = rows.get(identityOf(message.body))
    return order && order.status !== 'processing' ? [{ message, order }] : []
  })
}

/** Returns the reason why a message fails although its order was written; undefined when it does not fail. */
function failureAfter({ kind, order }: WriteOutcome, { redriven }: Message): TerminalError | undefined {
  if (kind === 'conflict') return new OrderConflict(order.order_id)
  // The worker exited after it wrote the failed order, and before the message became a dead letter. An operator needs
  // this dead letter to redrive the order.
  if (kind === 'repeated' && order.failure && !redriven)
    return new TerminalError(order.failure.code, order.failure.detail)
  return undefined
}
