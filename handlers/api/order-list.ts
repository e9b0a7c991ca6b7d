import { OrderList, OrderQuery } from '../../schema/http/order-list.ts'
import { anyRoute, rendered, retryable } from '../../schema/http/response.ts'
import type { App } from '../../src/app.ts'
import { publicUrl } from '../../src/http/public-url.ts'

const listOrders = {
  operationId: 'listOrders',
  summary: 'List orders',
  description:
    'Has every order that was accepted before `as_of`, and no later one. A walk from `next` to `next` finds each order once, while others are written.',
  tags: ['orders'],
  querystring: OrderQuery,
  response: {
    ...anyRoute,
    200: rendered(OrderList, {
      description: 'A page of orders.',
      headers: { Link: 'The next page, as `rel="next"`, unless `next` is null.' }
    }),
    429: retryable('Too many requests.'),
    503: retryable('A store is unavailable: a list needs both. Try again.')
  }
} as const

/** GET /orders lists orders. */
export default async function orderListRoute(app: App) {
  const url = `${publicUrl(app.config)}/orders`

  app.get(
    '/orders',
    { config: { scope: 'orders:read' }, schema: listOrders },
    async ({ query, caller }, reply) => {
      const { documents, hasMore, next, asOf } = await app.orders.lists.page(query, caller.tenant)
      if (next !== null) {
        const params = new URLSearchParams()
        for (const [name, value] of Object.entries({ ...query, cursor: next }))
          params.set(name, String(value))
        reply.header('link', `<${url}?${params}>; rel="next"`)
      }
      return reply
        .header('content-type', 'application/json; charset=utf-8')
        .send(
          `{"orders":[${documents.join(',')}],"has_more":${hasMore},"next":${JSON.stringify(next)},"as_of":"${asOf}"}`
        )
    }
  )
}
