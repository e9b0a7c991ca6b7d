/**
 * Returns whether a client has the representation that an entity tag names, by its header If-None-Match (RFC 9110,
 * section 13.1.2). Tags compare weakly: `W/` does not count. `etag` has its quotes, and no comma.
 */
export function hasCurrent(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false
  return ifNoneMatch.split(',').some(given => {
    const tag = given.trim()
    return tag === '*' || tag.replace(/^W\//, '') === etag
  })
}
