import { createHash, timingSafeEqual } from 'node:crypto'

/** Creates a check of the Authorization header. It takes the same time wherever two tokens differ. */
export function createTokenCheck(token: string): (authorization: string | undefined) => boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  const expected = digest(token)
  return authorization => {
    const [, candidate = ''] = /^Bearer +(.+)$/i.exec(authorization ?? '') ?? []
    return timingSafeEqual(digest(candidate), expected)
  }
}
