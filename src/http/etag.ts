/**
 * Returns whether the header If-None-Match contains an entity tag, so that the client has the current representation
 * (RFC 9110, section 13.1.2). The comparison is weak: it ignores `W/`. `etag` has its quotes, and contains no comma.
 */
export function hasCurrent(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false
  return ifNoneMatch.split(',').some(given => {
    const tag = given.trim()
    return tag === '*' || tag.replace(/^W\//, '') === etag
  })
}
