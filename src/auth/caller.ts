import { DEFAULT_TENANT, type Scope } from '../../schema/http/key.ts'

/** Who sends a request, and what that caller may do. */
export interface Caller {
  readonly tenant: string
  readonly scopes: readonly Scope[]
  /** Id of the API key; undefined for a caller without one. */
  readonly keyId: string | undefined
  /** The key's own limit in requests a second; null for the limit of all keys. */
  readonly rateLimit: number | null
}

const own = (scopes: readonly Scope[]): Caller =>
  Object.freeze({ tenant: DEFAULT_TENANT, scopes, keyId: undefined, rateLimit: null })

/** The caller with the ADMIN_TOKEN: it has every scope. */
export const ADMIN = own(['orders:write', 'orders:read', 'admin:read', 'admin'])

/** A caller without a key, where AUTH is off. */
export const ANONYMOUS = own(['orders:write', 'orders:read'])

/** The caller of a route that asks for no scope. */
export const NOBODY = own([])

/** Whether a scope reaches beyond one tenant. */
export function isAdminScope(scope: Scope): boolean {
  return scope === 'admin' || scope === 'admin:read'
}
