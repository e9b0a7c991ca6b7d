import { isAuthentication } from './server-answer.ts'

/** The two stores, as errors, health and metrics name them. */
export type StoreName = 'redis' | 'mysql'

/** The environment variables that hold the user name and the password for each store. */
export const CREDENTIALS: Record<StoreName, string> = {
  redis: 'REDIS_USERNAME and REDIS_PASSWORD',
  mysql: 'DB_USER and DB_PASSWORD'
}

/**
 * The store sent no answer, or sent it too late, or refused for a reason that lies with the store and not with the
 * call.
 */
export class StoreUnavailable extends Error {
  override name = 'StoreUnavailable'
  readonly store: StoreName

  constructor(store: StoreName, cause?: unknown) {
    // An AggregateError, as for a host name with several addresses, has a code and no message.
    const reason = cause instanceof Error ? `: ${cause.message || (cause as NodeJS.ErrnoException).code}` : ''
    const known = cause instanceof StoreUnavailable && cause.store === store
    const advice = isAuthentication(cause) ? `: authentication failed, see ${CREDENTIALS[store]}` : ''
    super(known ? cause.message : `${store} is not available${advice}${reason}`, { cause })
    this.store = store
  }
}

/**
 * The store answers and refuses this call: it refuses writes now (full, read-only, cannot persist), or forbids the
 * call.
 */
export class StoreRefused extends StoreUnavailable {
  override name = 'StoreRefused'
}

/** The store user lacks the right for this call; other calls may work. */
export class NotPermitted extends StoreRefused {
  override name = 'NotPermitted'
}

/** This Redis is a replica. After a failover another server takes the writes. */
export class ReadOnlyReplica extends StoreRefused {
  override name = 'ReadOnlyReplica'
}

/**
 * Other calls of this process held all its connections for longer than this call could wait. The store received no
 * call. The call is not at fault, and the store counts as available.
 */
export class NoFreeConnection extends StoreRefused {
  override name = 'NoFreeConnection'
}

/** The store lets no new connection in, or not in time. Open connections may work as before. */
export class NoNewConnection extends StoreUnavailable {
  override name = 'NoNewConnection'
}

/** The consumer group or its stream is missing (after a flush or a failover). */
export class GroupMissing extends Error {
  override name = 'GroupMissing'
}

/** The consumer group exists already. */
export class GroupExists extends Error {
  override name = 'GroupExists'
}

/** The server does not know a script by its hash, because it restarted or was flushed. Sending the text helps. */
export class ScriptMissing extends Error {
  override name = 'ScriptMissing'
}

/** A row with this unique key exists. */
export class DuplicateKey extends Error {
  override name = 'DuplicateKey'
}

/** A schema change adds what exists already, or drops what does not exist: an earlier start made the change. */
export class AlreadyChanged extends Error {
  override name = 'AlreadyChanged'
}

/** The transaction lost against another one (deadlock, lock wait, changed record). Running it again may succeed. */
export class Contention extends Error {
  override name = 'Contention'
}

/**
 * The store answered with an error that blames neither the data nor the store. Only a write that has nothing to do with
 * the call shows which of the two is at fault.
 */
export class UnexplainedStoreError extends Error {
  override name = 'UnexplainedStoreError'
  readonly store: StoreName
  readonly errno: number

  constructor(store: StoreName, error: Error & { errno: number }) {
    super(error.message)
    this.store = store
    this.errno = error.errno
    if (error.stack) this.stack = error.stack
  }
}

/**
 * Returns whether an error means that this store sent no usable answer. False for refusals and for errors of the other
 * store.
 */
export function isUnavailable(error: unknown, store: StoreName): boolean {
  return error instanceof StoreUnavailable && !(error instanceof StoreRefused) && error.store === store
}

/**
 * Returns whether the error of a trial write means that the store refuses writes, and not that something else was in
 * its way.
 */
export function isRefusal(error: unknown): boolean {
  return (
    error instanceof UnexplainedStoreError ||
    (error instanceof StoreUnavailable && !(error instanceof NoFreeConnection))
  )
}
