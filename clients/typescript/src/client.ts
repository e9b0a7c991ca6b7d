import { type CreateManyOptions, createMany } from './create-many.ts'
import type { Orders } from './order-source.ts'
import { listOrders, listPages } from './pages.ts'
import { type ClientOptions, Transport } from './transport.ts'
import type { CallOptions, Durability, ListQuery, NewOrder, Order, OrderPage, OrderResult } from './types.ts'
import { type WaitOptions, waitFor } from './wait.ts'
import { OrderWatch, type WatchOptions } from './watch.ts'

/** Options of `create` and `get`. */
export interface ReadOptions extends CallOptions {
  /**
   * The answer comes when the order is final, or after this time with the order as it is then (ms, up to 60,000). The
   * service counts whole seconds.
   */
  wait?: number | undefined
}

/** The answer to `create`. */
export interface CreatedOrder {
  order: Order
  /** Whether the service had the order already. */
  replayed: boolean
  /** Where the order was stored when it was accepted; undefined for an order that the service had already. */
  durability: Durability | undefined
}

/** A client of one service. It keeps no connection of its own and needs no closing. */
export class Orderstream {
  readonly #transport: Transport

  /** @throws {TypeError} when `url` is not a URL */
  constructor(options: ClientOptions) {
    this.#transport = new Transport(options)
  }

  /** Sends an order. When the service has an order with this id and this content, it returns that order. */
  async create(order: NewOrder, options: ReadOptions = {}): Promise<CreatedOrder> {
    const { value, response } = await this.#transport.request<Order>({
      method: 'POST',
      path: '/orders',
      body: JSON.stringify(order),
      ...waiting(options, { 'content-type': 'application/json' })
    })
    return {
      order: value,
      replayed: response.headers.get('idempotent-replayed') === 'true',
      durability: (response.headers.get('durability') as Durability | null) ?? undefined
    }
  }

  /**
   * Sends many orders, and returns a result for each, in their order. `status` of a result is 202 for an accepted order
   * and 200 for one that the service had already. Another status has a `problem`.
   */
  createMany(orders: Orders, options: CreateManyOptions = {}): AsyncGenerator<OrderResult, void, undefined> {
    return createMany(this.#transport, orders, options)
  }

  /** Reads an order. */
  async get(orderId: string, options: ReadOptions = {}): Promise<Order> {
    const path = pathOf(orderId)
    return (await this.#transport.request<Order>({ method: 'GET', path, ...waiting(options) })).value
  }

  /**
   * Waits until an order is completed, failed or cancelled, and returns it.
   * @throws {WaitTimeoutError} when it is not final in time
   */
  waitFor(orderId: string, options: WaitOptions = {}): Promise<Order> {
    return waitFor(this.#transport, pathOf(orderId), options)
  }

  /** Returns the orders of all pages, one after the other. `limit` is the number of orders that one request reads. */
  list(query: ListQuery = {}, options: CallOptions = {}): AsyncGenerator<Order, void, undefined> {
    return listOrders(this.#transport, query, options)
  }

  /** Returns the pages of a list, one after the other. `next` of a page continues the list later, as `cursor`. */
  listPages(query: ListQuery = {}, options: CallOptions = {}): AsyncGenerator<OrderPage, void, undefined> {
    return listPages(this.#transport, query, options)
  }

  /** Follows the orders that become final. */
  watch(options: WatchOptions = {}): OrderWatch {
    return new OrderWatch(this.#transport, options)
  }

  /** Cancels an order that is processing. Returns an order that is cancelled already as it is. */
  async cancel(orderId: string, { signal }: CallOptions = {}): Promise<Order> {
    const path = `${pathOf(orderId)}/cancel`
    return (await this.#transport.request<Order>({ method: 'POST', path, signal })).value
  }
}

function pathOf(orderId: string): string {
  return `/orders/${encodeURIComponent(orderId)}`
}

function waiting({ signal, wait }: ReadOptions, headers: Record<string, string> = {}) {
  if (wait === undefined) return { signal, headers }
  return { signal, wait, headers: { ...headers, prefer: `wait=${Math.ceil(wait / 1000)}` } }
}
