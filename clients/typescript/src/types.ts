import type { components, operations } from './openapi.ts'

type Schemas = components['schemas']

/** An order to accept: the body of `POST /orders`. */
export type NewOrder = Schemas['NewOrder']

/** An order as the service returns it. */
export type Order = Schemas['Order']

/** A page of a list of orders. */
export type OrderPage = Schemas['OrderList']

/** The result of one order of a batch. `index` counts from 0 over all orders that `createMany` got. */
export type OrderResult = Schemas['OrderResult']

/** The body of an error (RFC 9457). */
export type Problem = Schemas['Problem']

/** The filters, the order and the page size of a list. */
export type ListQuery = NonNullable<operations['listOrders']['parameters']['query']>

/** The filters of the events of orders. */
export type EventFilter = NonNullable<operations['streamOrderEvents']['parameters']['query']>

/** The type of the event of a final order. */
export type EventType = `order.${NonNullable<EventFilter['status']>}`

/** Where an accepted order was stored at that moment. */
export type Durability = 'fsync' | 'replicated' | 'mysql' | 'memory'

/** Options of every call. */
export interface CallOptions {
  /** Ends the call. It then fails with the reason of the signal. */
  signal?: AbortSignal | undefined
}
