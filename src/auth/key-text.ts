import { hash, randomBytes } from 'node:crypto'

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
