import { createHash, timingSafeEqual } from 'node:crypto'

/** Returns the bearer token of an Authorization header; undefined without one. */
export function bearerToken(authorization: string): string | undefined {
  return /^Bearer +(.+)$/i.exec(authorization)?.[1]
}

/** Creates a check of a token. Its time does not depend on the place where two tokens differ. */
export function createTokenCheck(token: string): (candidate: string) => boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  const expected = digest(token)
  return candidate => timingSafeEqual(digest(candidate), expected)
}
