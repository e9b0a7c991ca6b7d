import { Batch } from './batch.ts'
import { OrderSource, type Orders } from './order-source.ts'
import type { Transport } from './transport.ts'
import type { CallOptions, OrderResult } from './types.ts'

/** Options of `createMany`. */
export interface CreateManyOptions extends CallOptions {
  /** Whether each result has the document of its order. */
  documents?: boolean | undefined
  /**
   * Whether the body of a request is sent while the orders arrive. By default in Node.js, Deno and Bun. Browsers cannot do
   * it over HTTP/1.1.
   */
  streaming?: boolean | undefined
}

/**
 * Sends orders in as few requests as possible, one request at a time. Returns their results in order, as they arrive.
 * Orders that were answered 429 or 503, or not at all, are sent again. When their attempts end, an order that was answered
 * has this answer as result.
 * @throws {OrderstreamError} when a request is refused, or when orders stay without an answer; the error of `orders`
 */
export async function* createMany(
  transport: Transport,
  orders: Orders,
  options: CreateManyOptions
): AsyncGenerator<OrderResult, void, undefined> {
  const { documents = false, streaming = canStream(), signal } = options
  const source = new OrderSource(orders)
  let first = 0
  try {
    while (await source.hasNext(signal)) {
      const batch = new Batch({ transport, source, first, documents, streaming, signal })
      yield* batch.results()
      first += batch.size
    }
  } finally {
    await source.close()
  }
}

/** Whether `fetch` sends a body while it is being made, and returns the answer before the body has ended. */
function canStream(): boolean {
  const { process } = globalThis as { process?: { versions?: { node?: string } } }
  return process?.versions?.node !== undefined
}
