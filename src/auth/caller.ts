import { DEFAULT_TENANT, type Scope } from '../../schema/http/key.ts'

/** Who sends a request, and what that caller may do. */
export interface Caller {
  readonly tenant: string
  readonly scopes: readonly Scope[]
  /** The name of the caller for logs and counts, such as `key:<id>`; undefined without credentials. */
  readonly id: string | undefined
  /** The caller's own limit in requests a second; null for RATE_LIMIT_MAX. */
  readonly rateLimit: number | null
  /**
   * Asks the stores or the provider for the real caller. Resolves to undefined for invalid credentials. It is unset
   * when this is the real caller.
   */
  readonly find?: () => Promise<Caller | undefined>
}

const own = (scopes: readonly Scope[], id?: string): Caller =>
  Object.freeze({ tenant: DEFAULT_TENANT, scopes, id, rateLimit: null })

/** The caller with the ADMIN_TOKEN: it has every scope. */
export const ADMIN = own(['orders:write', 'orders:read', 'webhooks', 'admin:read', 'admin'], 'admin-token')

/** A caller without a key, where AUTH is off. */
export const ANONYMOUS = own(['orders:write', 'orders:read', 'webhooks'])

/** A caller without any scope. It is used on open routes, and for missing, invalid or not yet checked credentials. */
export const NOBODY = own([])

/** Returns whether a scope permits access to all tenants. */
export function isAdminScope(scope: Scope): boolean {
  return scope === 'admin' || scope === 'admin:read'
}
