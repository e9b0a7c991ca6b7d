import { ORDER_PLACED_VERSION, OrderPlaced } from '../../schema/messages/order-placed.ts'
import type { App } from '../../src/app.ts'
import { isoNow } from '../../src/async/clock.ts'
import { OrderConflict } from '../../src/orders/errors.ts'
import { failureOf, ORDER_RETRY } from '../../src/orders/failure.ts'
import { ORDER_FUNCTION, PLACED } from '../../src/orders/names.ts'
import type { OrderRecord } from '../../src/orders/order.ts'
import { complete, fail } from '../../src/orders/pricing.ts'
import type { WriteOutcome } from '../../src/orders/process/write-batch.ts'
import type { OrderStore } from '../../src/orders/tables/order-store.ts'
import {
  type BatchContext,
  type BatchResult,
  codeOf,
  type Letter,
  type Message,
  TerminalError
} from '../../src/streams/function.ts'

/** Prices accepted orders, writes them to MySQL, refreshes their documents and tells the world. */
export default async function processOrders(app: App) {
  const { store, toSettle } = app.orders

  app.consume({
    name: ORDER_FUNCTION,
    stream: PLACED,
    schema: OrderPlaced,
    version: ORDER_PLACED_VERSION,
    batch: { size: 250, window: 15 },
    concurrency: 4,
    retry: ORDER_RETRY,
    timeout: 60_000,
    handler: (messages, context) => {
      const now = isoNow()
      return write(messages, ({ body }) => complete(body, now), context)
    },
    onDead: async (letters, context) => {
      const now = isoNow()
      const causes = new Map(letters.map(({ message, cause }) => [message, cause]))
      const failed = letters.filter(({ cause }) => !['invalid', 'conflict'].includes(codeOf(cause)))
      const result = await write(
        failed.map(({ message }) => message),
        message => {
          const cause = causes.get(message) as Error
          return fail(message.body, failureOf(cause), now)
        },
        context
      )
      for (const { message, order } of await standing(store, letters)) tell(result, message, order)
      return result
    }
  })

  /** Writes the orders that messages have become, and says what is to be written and told as they are settled. */
  async function write(
    messages: Message<OrderPlaced>[],
    become: (message: Message<OrderPlaced>) => OrderRecord,
    { log }: BatchContext
  ): Promise<Required<BatchResult>> {
    const result: Required<BatchResult> = { writes: [], events: [], duplicates: [], failed: [] }
    if (messages.length === 0) return result
    const drafts = messages.map(message => ({
      order: become(message),
      messageId: message.id,
      redriven: message.redriven,
      ordinal: message.ordinal,
      partition: app.keys.partitionOf(message.body.order_id)
    }))
    const outcomes = await store.write(drafts)
    for (const [index, message] of messages.entries()) {
      const outcome = outcomes[index] as WriteOutcome
      const { kind, order } = outcome
      if (order.status !== 'processing') tell(result, message, order)
      if (kind === 'duplicate') result.duplicates.push(message)
      const cause = endOf(outcome, message)
      if (cause) result.failed.push({ message, cause })
      log.debug({ order_id: order.order_id, request_id: message.requestId, outcome: kind }, 'order processed')
    }
    return result
  }

  /**
   * Has an order's document written and its event told as a message is settled. What is redriven is told whatever the
   * document says: its row is finished before its message, and a GET in between may have put the new document there.
   */
  function tell(
    { writes, events }: Required<BatchResult>,
    message: Message<OrderPlaced>,
    order: OrderRecord
  ) {
    const { write, event } = toSettle(order, message.traceparent)
    writes.push({ message, ...write })
    events.push({ message, ...event, unless: message.redriven ? '' : event.unless })
  }
}

/**
 * The finished orders that stand where another body was refused: Redis may still have the document of that one. They
 * are told too, since the message that finished one may not be settled yet, and would find its document final then.
 */
async function standing(store: OrderStore, letters: Letter<OrderPlaced>[]) {
  const refused = letters.filter(({ cause }) => codeOf(cause) === 'conflict').map(({ message }) => message)
  if (refused.length === 0) return []
  const rows = await store.find(refused.map(({ body }) => body.order_id))
  return refused.flatMap(message => {
    const order = rows.get(message.body.order_id)
    return order && order.status !== 'processing' ? [{ message, order }] : []
  })
}

/** Why a message becomes a dead letter though all went well; undefined when it does not. */
function endOf({ kind, order }: WriteOutcome, { redriven }: Message): TerminalError | undefined {
  if (kind === 'conflict') return new OrderConflict(order.order_id)
  // This very message had been given up, and its worker ended before it was a dead letter: it has to become one, or
  // nobody could redrive it.
  if (kind === 'repeated' && order.failure && !redriven)
    return new TerminalError(order.failure.code, order.failure.detail)
  return undefined
}
