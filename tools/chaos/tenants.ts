import { setTimeout as delay } from 'node:timers/promises'
import type { Client, Reply } from './client.ts'

/** The tenant of some orders of the load. The other orders are of the default tenant. */
export const TENANT = 'acme'

/** The headers of a request about an order: those of a caller in the tenant of the order. */
export type Authorize = (identity: string) => Record<string, string>

/** Returns the identity of an order: its id, after its tenant unless that is the default tenant. */
export function identityOf(order: { order_id: string; tenant?: unknown }): string {
  const { tenant = 'default', order_id } = order
  return tenant === 'default' ? order_id : `${tenant}/${order_id}`
}

/** Returns the order id of an identity. */
export function orderIdOf(identity: string): string {
  return identity.slice(identity.indexOf('/') + 1)
}

/** The longest wait until an api answers as expected (ms). */
const LONGEST = 30_000

/**
 * Creates a key for the tenant. Waits until every api knows it, and knows that all processes support tenants.
 * @throws {Error} when an api refuses the key for a long time.
 */
export async function createAuthorize(
  clients: Client[],
  adminToken: string,
  signal: AbortSignal
): Promise<Authorize> {
  const end = performance.now() + LONGEST
  const answerOf = async (expected: number, ask: () => Promise<Reply>): Promise<Reply> => {
    for (;;) {
      const reply = await ask()
      if (reply.status === expected) return reply
      if (performance.now() > end) throw new Error(`not ${expected}: ${reply.status} ${reply.text}`)
      await delay(100, undefined, { signal })
    }
  }
  const body = JSON.stringify({
    name: 'chaos',
    tenant: TENANT,
    scopes: ['orders:write', 'orders:read', 'webhooks']
  })
  const admin = { authorization: `Bearer ${adminToken}` }
  const { text } = await answerOf(201, () => (clients[0] as Client).post('/admin/keys', body, admin))
  const headers = { authorization: `Bearer ${JSON.parse(text).key}` }
  for (const client of clients) await answerOf(404, () => client.post('/orders/unknown/cancel', '', headers))
  return identity => (identity.includes('/') ? headers : {})
}
