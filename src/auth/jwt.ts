import { hash } from 'node:crypto'
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from 'jose'
import { Compile } from 'typebox/compile'
import type { Config } from '../../schema/config/env.ts'
import { DEFAULT_TENANT, Scope, Tenant } from '../../schema/http/key.ts'
import { type Caller, isAdminScope } from './caller.ts'
import { ProviderUnavailable } from './errors.ts'

/** Algorithms with a public key. The key set of a provider is public, so a shared secret would prove nothing. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']

/** How much the clocks of the provider and of this machine may differ (s). */
const CLOCK_TOLERANCE = 5

/** How long the provider may take to answer (ms). */
const PROVIDER_TIMEOUT = 3000

/** The most tokens in memory. When there are more, all are forgotten. */
const MAX_KNOWN = 10_000

/** The most characters of a `sub` in the id of a caller. A longer `sub` is cut. */
const MAX_SUBJECT = 190

/** The check of JWTs of an OpenID provider (RFC 7519, scopes after RFC 8693). */
export interface JwtCheck {
  /** Returns the caller of a token that was verified before and is still valid. */
  known: (token: string) => Caller | undefined
  /**
   * Verifies a token. Resolves to undefined for an invalid one.
   * @throws {ProviderUnavailable} when the keys of the provider cannot be read.
   */
  verify: (token: string) => Promise<Caller | undefined>
}

const isTenant = Compile(Tenant)

/** What the check needs of the configuration. */
export type JwtConfig = Pick<Config, 'JWKS_URL' | 'ISSUER' | 'AUDIENCE' | 'TENANT_CLAIM'>

/** Returns whether a token has the form of a JWT: three parts in base64url. */
export function isJwt(token: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)
}

/** Creates the check of JWTs; undefined without JWKS_URL. A verified token is valid until it expires. */
export function createJwtCheck({
  JWKS_URL,
  ISSUER,
  AUDIENCE,
  TENANT_CLAIM
}: JwtConfig): JwtCheck | undefined {
  if (JWKS_URL === undefined || ISSUER === undefined || AUDIENCE === undefined) return undefined
  const keySet = createRemoteJWKSet(new URL(JWKS_URL), { timeoutDuration: PROVIDER_TIMEOUT })
  const callers = new Map<string, { caller: Caller; until: number }>()
  return {
    known: token => {
      const found = callers.get(hash('sha256', token))
      return found && found.until > Date.now() ? found.caller : undefined
    },
    verify: async token => {
      try {
        const { payload } = await jwtVerify(token, keySet, {
          issuer: ISSUER,
          audience: AUDIENCE,
          algorithms: ALGORITHMS,
          requiredClaims: ['sub', 'exp'],
          clockTolerance: CLOCK_TOLERANCE
        })
        const caller = toCaller(payload, TENANT_CLAIM)
        if (!caller) return undefined
        if (callers.size >= MAX_KNOWN) callers.clear()
        const until = ((payload.exp ?? 0) + CLOCK_TOLERANCE) * 1000
        callers.set(hash('sha256', token), { caller, until })
        return caller
      } catch (error) {
        if (isProviderFault(error)) throw new ProviderUnavailable({ cause: error })
        return undefined
      }
    }
  }
}

/** Converts the claims of a valid token to a caller. Returns undefined when its tenant has no valid name. */
function toCaller(payload: JWTPayload, tenantClaim: string): Caller | undefined {
  const tenant = payload[tenantClaim] ?? DEFAULT_TENANT
  if (!isTenant.Check(tenant)) return undefined
  const named = typeof payload.scope === 'string' ? payload.scope.split(' ') : []
  const scopes = Scope.enum.filter(scope => named.includes(scope))
  return Object.freeze({
    tenant,
    scopes: tenant === DEFAULT_TENANT ? scopes : scopes.filter(scope => !isAdminScope(scope)),
    id: `jwt:${String(payload.sub).slice(0, MAX_SUBJECT)}`,
    rateLimit: null
  })
}

/** Returns whether the key set could not be read. All other errors are faults of the token. */
function isProviderFault(error: unknown): boolean {
  if (!(error instanceof errors.JOSEError)) return true
  return (
    error instanceof errors.JWKSTimeout ||
    error instanceof errors.JWKSInvalid ||
    error.code === 'ERR_JOSE_GENERIC'
  )
}
