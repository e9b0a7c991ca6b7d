/** Returns whether a Redis call failed by an error that the server sent. Other errors mean that no answer came. */
export function isRedisAnswer(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError'
}

/**
 * Returns whether a MySQL call failed by an error that the server sent. Only such errors have an errno and a SQLSTATE.
 */
export function isMysqlAnswer(error: unknown): error is Error & { errno: number; sqlState: string } {
  const { errno, sqlState } = (error ?? {}) as { errno?: unknown; sqlState?: unknown }
  return error instanceof Error && typeof errno === 'number' && typeof sqlState === 'string'
}

/** errno of a refused user: access denied, and access denied without a password. */
const MYSQL_AUTHENTICATION = new Set([1045, 1698])

/** Returns whether a server refuses the user name or the password of this process, or requires one. */
export function isAuthentication(error: unknown): boolean {
  if (isRedisAnswer(error)) return /^(WRONGPASS|NOAUTH) /.test(error.message)
  return isMysqlAnswer(error) && MYSQL_AUTHENTICATION.has(error.errno)
}
