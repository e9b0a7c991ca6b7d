import type { Config } from '../../schema/config/env.ts'
import { bearerToken, createTokenCheck } from './bearer.ts'
import { ADMIN, ANONYMOUS, type Caller } from './caller.ts'
import { isJwt, type JwtCheck } from './jwt.ts'
import { parseKey } from './key-text.ts'
import type { KnownKeys } from './known-keys.ts'

/** Asks the stores who the caller is; undefined for invalid credentials. */
export type FindCaller = () => Promise<Caller | undefined>

/** Returns who sends an Authorization header: undefined for nobody, a function when only the stores have the answer. */
export type Authenticate = (authorization: string | undefined) => Caller | FindCaller | undefined

/** Whether the api serves routes under /admin: somebody must be able to use them. */
export function servesAdmin({ AUTH, ADMIN_TOKEN }: Pick<Config, 'AUTH' | 'ADMIN_TOKEN'>): boolean {
  return AUTH === 'on' || ADMIN_TOKEN !== undefined
}

/** Creates the check of callers. A known key, a known JWT and the ADMIN_TOKEN need no store. */
export function createAuthenticate(
  { AUTH, ADMIN_TOKEN }: Pick<Config, 'AUTH' | 'ADMIN_TOKEN'>,
  known: KnownKeys,
  jwt: JwtCheck | undefined
): Authenticate {
  const isAdmin = ADMIN_TOKEN === undefined ? () => false : createTokenCheck(ADMIN_TOKEN)
  const other = AUTH === 'off' ? ANONYMOUS : undefined
  return authorization => {
    const token = bearerToken(authorization)
    if (token === undefined) return other
    const key = parseKey(token)
    const found = key && known.check(key)
    if (typeof found === 'object') return found
    if (isAdmin(token)) return ADMIN
    if (!key) return jwt && isJwt(token) ? (jwt.known(token) ?? (() => jwt.verify(token))) : other
    return found === 'refused' ? undefined : () => known.find(key)
  }
}
