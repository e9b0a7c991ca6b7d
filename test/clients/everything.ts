// Uses everything that the package exports. The test of the package checks it with TypeScript 5 and 7.
import {
  type CallOptions,
  type ClientOptions,
  ConnectionError,
  type CreatedOrder,
  type CreateManyOptions,
  type components,
  type Durability,
  type EventFilter,
  type EventType,
  type FinalOrderEvent,
  type ListQuery,
  type NewOrder,
  type Order,
  type OrderPage,
  type OrderResult,
  type Orders,
  Orderstream,
  OrderstreamError,
  type OrderWatch,
  type operations,
  type Problem,
  type paths,
  type ReadOptions,
  type ResetEvent,
  type RetryOptions,
  verifyWebhook,
  type WaitOptions,
  WaitTimeoutError,
  type WatchEvent,
  type WatchOptions,
  WebhookError,
  type WebhookEvent,
  type WebhookFault,
  type WebhookHeaders,
  type WebhookOptions
} from 'orderstream-client'

const retries: RetryOptions = { attempts: 3, base: 100, max: 1000, total: undefined }
const options: ClientOptions = {
  url: new URL('http://localhost:3000'),
  key: async () => 'a-token',
  fetch: (input, init) => fetch(input, init),
  retries,
  timeout: 5000
}
const call: CallOptions = { signal: new AbortController().signal }
const order: NewOrder = {
  order_id: 'test-001',
  amount: '99.95',
  currency: 'EUR',
  items: [{ sku: 'a', quantity: 1, unit_price: 99.95 }],
  metadata: { channel: 'web' }
}

/** Calls each method. */
export async function callAll(client: Orderstream = new Orderstream(options)): Promise<Order[]> {
  const reading: ReadOptions = { ...call, wait: 1000 }
  const waiting: WaitOptions = { ...call, timeout: 1000 }
  const created: CreatedOrder = await client.create(order, reading)
  const durability: Durability | undefined = created.durability
  const orders: Order[] = [created.order, await client.get('test-001', reading)]
  orders.push(await client.waitFor('test-001', waiting), await client.cancel('test-001', call))

  const query: ListQuery = { status: 'completed', customer_id: 'c', order: 'created_at', limit: 10 }
  for await (const listed of client.list(query, call)) orders.push(listed)
  for await (const page of client.listPages({ min_amount: 1, order: 'amount' })) readPage(page)

  const many: CreateManyOptions = { ...call, documents: true, streaming: false }
  const sources: Orders[] = [[order], new Set([order]), generate()]
  for (const source of sources) for await (const result of client.createMany(source, many)) readResult(result)
  return durability === undefined ? orders : []
}

async function* generate(): AsyncGenerator<NewOrder> {
  yield order
}

function readPage({ orders, has_more, next, as_of }: OrderPage): [number, boolean, string | null, string] {
  return [orders.length, has_more, next, as_of]
}

function readResult({ index, order_id, status, order, problem }: OrderResult): string {
  const fault: Problem | undefined = problem
  return [index, order_id, status, order?.total?.toFixed(2), fault?.errors?.[0]?.pointer].join()
}

/** Follows orders. */
export async function follow(client: Orderstream): Promise<string> {
  const filter: EventFilter = { customer_id: 'c', status: 'failed' }
  const watching: WatchOptions = { ...filter, ...call, lastEventId: undefined }
  const watch: OrderWatch = client.watch(watching)
  for await (const event of watch) readEvent(event)
  return watch.lastEventId
}

function readEvent(event: WatchEvent): string | undefined {
  if (event.type === 'reset') {
    const reset: ResetEvent = event
    return reset.id
  }
  const final: FinalOrderEvent = event
  const type: EventType = final.type
  return type === 'order.failed' ? final.order.failure?.detail : final.order.processed_at?.slice(0, 10)
}

/** Receives a webhook. */
export async function receive(request: Request): Promise<string> {
  const checks: WebhookOptions = { tolerance: 60_000, now: Date.now() }
  const headers: WebhookHeaders[] = [request.headers, { 'webhook-id': 'a', 'webhook-signature': ['v1,'] }]
  const body = await request.arrayBuffer()
  const [first = {}] = headers
  const event: WebhookEvent = await verifyWebhook(['whsec_YQ==', 'whsec_Yg=='], first, body, checks)
  await verifyWebhook('whsec_YQ==', first, new Uint8Array(body))
  return event.type === 'webhook.test' ? event.id : `${event.timestamp} ${event.data.order_id}`
}

/** Distinguishes errors. */
export function describe(error: unknown): string | undefined {
  if (error instanceof WaitTimeoutError) return error.order?.status
  if (error instanceof ConnectionError) return String(error.cause)
  if (error instanceof WebhookError) {
    const fault: WebhookFault = error.code
    return fault
  }
  if (error instanceof OrderstreamError)
    return [error.code, error.status, error.retryAfter, error.error_id].join()
  return undefined
}

/** The generated types are there, too. */
export type Generated = [
  components['schemas']['Health']['status'],
  operations['getOrder']['parameters']['path']['order_id'],
  paths['/orders']['post']
]
