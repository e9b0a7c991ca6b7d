import type { Config } from '../../schema/config/env.ts'
import { bearerToken, createTokenCheck } from './bearer.ts'
import { ADMIN, ANONYMOUS, type Caller, NOBODY } from './caller.ts'
import { isJwt, type JwtCheck } from './jwt.ts'
import { createKeyReader } from './key-text.ts'
import type { KnownKeys } from './known-keys.ts'

/**
 * Returns the caller that sends an Authorization header over a connection. When the memory of this process does not have
 * the caller, the result has the method `find`.
 */
export type Authenticate = (authorization: string | undefined, connection: object) => Caller

/** Returns whether the api serves routes under /admin. It serves them if somebody can use them. */
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
  const other = AUTH === 'off' ? ANONYMOUS : NOBODY
  const keyIn = createKeyReader()
  return (authorization, connection) => {
    if (authorization === undefined) return other
    const key = keyIn(authorization, connection)
    const found = key && known.check(key)
    if (typeof found === 'object') return found
    const token = bearerToken(authorization)
    if (token === undefined) return other
    if (isAdmin(token)) return ADMIN
    if (key) return found === 'refused' ? NOBODY : { ...NOBODY, find: () => known.find(key) }
    if (!jwt || !isJwt(token)) return other
    return jwt.known(token) ?? { ...NOBODY, find: () => jwt.verify(token) }
  }
}
