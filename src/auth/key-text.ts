import { hash, randomBytes, timingSafeEqual } from 'node:crypto'

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

/** A token that came over a connection, and its key. */
interface Remembered {
  token: Buffer
  key: PresentedKey
}

/**
 * Creates `parseKey` for requests. Most requests of a connection have the same token, so the last key of each connection
 * is remembered: a hash costs more than a comparison. The time of the comparison does not depend on the place where two
 * tokens differ, because a proxy may send the requests of several callers over one connection.
 */
export function createKeyParser(): (token: string, connection: object) => PresentedKey | undefined {
  const last = new WeakMap<object, Remembered>()
  return (token, connection) => {
    const sent = Buffer.from(token, 'latin1')
    const known = last.get(connection)
    if (known && known.token.length === sent.length && timingSafeEqual(known.token, sent)) return known.key
    const key = parseKey(token)
    if (key) last.set(connection, { token: sent, key })
    return key
  }
}
