export type { CreatedOrder, ReadOptions } from './client.ts'
export { Orderstream } from './client.ts'
export type { CreateManyOptions } from './create-many.ts'
export type { WebhookFault } from './errors.ts'
export { ConnectionError, OrderstreamError, WaitTimeoutError, WebhookError } from './errors.ts'
export type { components, operations, paths } from './openapi.ts'
export type { Orders } from './order-source.ts'
export type { RetryOptions } from './retries.ts'
export type { ClientOptions } from './transport.ts'
export type {
  CallOptions,
  Durability,
  EventFilter,
  EventType,
  ListQuery,
  NewOrder,
  Order,
  OrderPage,
  OrderResult,
  Problem
} from './types.ts'
export type { WaitOptions } from './wait.ts'
export type { FinalOrderEvent, OrderWatch, ResetEvent, WatchEvent, WatchOptions } from './watch.ts'
export type { WebhookEvent, WebhookHeaders, WebhookOptions } from './webhook.ts'
export { verifyWebhook } from './webhook.ts'
