import { CREDENTIALS, NoFreeConnection, NotPermitted, StoreUnavailable } from './errors.ts'
import { isAuthentication, isMysqlAnswer, isRedisAnswer } from './server-answer.ts'

/** Returns whether a store is unavailable because of an error that its server sent. */
export function isServerAnswer(error: unknown): boolean {
  return error instanceof StoreUnavailable && (isRedisAnswer(error.cause) || isMysqlAnswer(error.cause))
}

/**
 * Returns advice when a store refuses the credentials. Readers of health may not have access to the log. Returns
 * undefined for any other error.
 */
export function describeAuthentication(error: unknown): string | undefined {
  if (!(error instanceof StoreUnavailable) || !isAuthentication(error.cause)) return undefined
  return `${error.store} refuses the credentials of this process: see ${CREDENTIALS[error.store]}, and restart it.`
}

/**
 * Returns why a store refuses calls: the store and the code of its error, without an address, a user or a query.
 * Readers of health may not have access to the log.
 */
export function reasonOf(error: StoreUnavailable): string {
  const { store, cause } = error
  if (error instanceof NoFreeConnection) return `all connections to ${store} are in use`
  const { errno } = (cause ?? {}) as { errno?: unknown }
  let code = isRedisAnswer(cause) ? /^[A-Z]+/.exec(cause.message)?.[0] : undefined
  if (store === 'redis' && error instanceof NotPermitted) code = 'NOPERM'
  if (store === 'mysql' && typeof errno === 'number' && errno > 0) code = `errno ${errno}`
  return `${store} refuses what is needed of it${code ? ` (${code})` : ', or gives no answer'}; the log has the details`
}
