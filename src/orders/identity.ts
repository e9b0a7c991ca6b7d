import { DEFAULT_TENANT } from '../../schema/http/key.ts'

/** The two parts of an order's identity. An order id is unique only within its tenant. */
export interface IdentityParts {
  tenant: string
  order_id: string
}

/**
 * Returns the identity of an order as one text: `<order id>` for the default tenant, `<tenant>/<order id>` for another
 * tenant. An order id contains no slash, so two orders never have the same identity. No tenant means the default one.
 */
export function identityOf({
  tenant = DEFAULT_TENANT,
  order_id
}: {
  tenant?: string | undefined
  order_id: string
}): string {
  return tenant === DEFAULT_TENANT ? order_id : `${tenant}/${order_id}`
}

/** Returns the two parts of an identity. */
export function parseIdentity(identity: string): IdentityParts {
  const slash = identity.indexOf('/')
  if (slash === -1) return { tenant: DEFAULT_TENANT, order_id: identity }
  return { tenant: identity.slice(0, slash), order_id: identity.slice(slash + 1) }
}

/** Compares orders by order id, then by tenant, as the unique key of their table does. */
export function compareOrders(a: IdentityParts, b: IdentityParts): number {
  return compare(a.order_id, b.order_id) || compare(a.tenant, b.tenant)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
