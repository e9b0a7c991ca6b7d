import { DEFAULT_TENANT } from '../../../schema/http/key.ts'
import { parseIdentity } from '../identity.ts'

/**
 * The table `orders` for a statement with the condition of `byIdentity`. Without the hint, outdated statistics could
 * choose an index that begins with the tenant, and the statement would lock every row of the tenant.
 */
export const ORDERS_BY_IDENTITY = 'orders FORCE INDEX (orders_order_id)'

/** An SQL condition with its parameters. */
export interface IdentityCondition {
  sql: string
  values: (string | string[])[]
}

/** Returns the condition for the rows of some orders. `identities` must not be empty. */
export function byIdentity(identities: string[]): IdentityCondition {
  const tenants = identities.some(identity => identity.includes('/'))
    ? Map.groupBy(identities, identity => parseIdentity(identity).tenant)
    : new Map([[DEFAULT_TENANT, identities]])
  return {
    sql: `(${[...tenants].map(() => '(tenant = ? AND order_id IN (?))').join(' OR ')})`,
    values: [...tenants].flatMap(([tenant, own]) => [
      tenant,
      own.map(identity => parseIdentity(identity).order_id)
    ])
  }
}
