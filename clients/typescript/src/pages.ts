import type { Transport } from './transport.ts'
import type { CallOptions, ListQuery, Order, OrderPage } from './types.ts'

/** The orders of a page when the query names no `limit`: as many as the service allows. */
const LIMIT = 100

/** Returns the pages of a list until no order follows now. */
export async function* listPages(
  transport: Transport,
  query: ListQuery,
  { signal }: CallOptions
): AsyncGenerator<OrderPage, void, undefined> {
  let cursor = query.cursor
  for (;;) {
    const { value: page } = await transport.request<OrderPage>({
      method: 'GET',
      path: '/orders',
      query: { limit: LIMIT, ...query, cursor },
      signal
    })
    yield page
    if (!page.has_more || page.next === null) return
    cursor = page.next
  }
}

/** Returns the orders of all pages. */
export async function* listOrders(
  transport: Transport,
  query: ListQuery,
  options: CallOptions
): AsyncGenerator<Order, void, undefined> {
  for await (const { orders } of listPages(transport, query, options)) yield* orders
}
