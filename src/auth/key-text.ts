import { hash, randomBytes } from 'node:crypto'
import { bearerToken } from './bearer.ts'

/** Bytes of the random parts of a key. */
const ID_BYTES = 8
const SECRET_BYTES = 32

const KEY = /^os_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/

/** A key as a caller sends it, with the SHA-256 of its secret. */
export interface PresentedKey {
  id: string
  digest: Buffer
}

/** Returns a new random id of a key. */
export function newKeyId(): string {
  return randomBytes(ID_BYTES).toString('hex')
}

/**
 * Makes a secret. Returns the text of the key, and the SHA-256 of the secret in hex. Only the SHA-256 may be stored.
 */
export function newSecret(id: string): { key: string; hash: string } {
  const secret = randomBytes(SECRET_BYTES).toString('base64url')
  return { key: `os_${id}_${secret}`, hash: hash('sha256', secret, 'hex') }
}

/** Parses a bearer token as a key. Returns undefined when the token is not a key. */
export function parseKey(token: string): PresentedKey | undefined {
  const [, id, secret] = KEY.exec(token) ?? []
  if (id === undefined || secret === undefined) return undefined
  return { id, digest: hash('sha256', secret, 'buffer') }
}

/** An Authorization header that came over a connection, and its key. */
interface Remembered {
  authorization: string
  key: PresentedKey
}

/**
 * Creates the function that returns the key in an Authorization header; undefined when the header has no key. Most
 * requests of a connection have the same header, so the last key of each connection is remembered: a hash costs more
 * than a comparison. The same header then has the same `PresentedKey`.
 */
export function createKeyReader(): (authorization: string, connection: object) => PresentedKey | undefined {
  const last = new WeakMap<object, Remembered>()
  return (authorization, connection) => {
    const known = last.get(connection)
    if (known && isSame(known.authorization, authorization)) return known.key
    const token = bearerToken(authorization)
    const key = token === undefined ? undefined : parseKey(token)
    if (key) last.set(connection, { authorization, key })
    return key
  }
}

/**
 * Returns whether two texts are the same. The time does not depend on the place where they differ, because a proxy may
 * send the requests of several callers over one connection. `timingSafeEqual` would need two buffers for each request.
 */
function isSame(a: string, b: string): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let at = 0; at < a.length; at++) difference |= a.charCodeAt(at) ^ b.charCodeAt(at)
  return difference === 0
}
