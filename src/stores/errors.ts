import { isAuthentication } from './server-answer.ts'

/** The two stores, under the names that errors, health and metrics use. */
export type StoreName = 'redis' | 'mysql'

/** The environment variables that hold the user name and the password for each store. */
export const CREDENTIALS: Record<StoreName, string> = {
  redis: 'REDIS_USERNAME and REDIS_PASSWORD',
  mysql: 'DB_USER and DB_PASSWORD'
}

/**
 * The store sent no answer, or sent it too late, or refused the call for a reason of its own. The call is not at fault.
 */
export class StoreUnavailable extends Error {
  override name = 'StoreUnavailable'
  readonly store: StoreName

  constructor(store: StoreName, cause?: unknown) {
    // An AggregateError has a code and no message. A host name with several addresses causes one.
    const reason = cause instanceof Error ? `: ${cause.message || (cause as NodeJS.ErrnoException).code}` : ''
    const known = cause instanceof StoreUnavailable && cause.store === store
    const advice = isAuthentication(cause) ? `: authentication failed, see ${CREDENTIALS[store]}` : ''
    super(known ? cause.message : `${store} is not available${advice}${reason}`, { cause })
    this.store = store
  }
}

/**
 * The store answers, but refuses this call. It refuses writes now (full, read-only, cannot persist), or forbids the
 * call.
 */
export class StoreRefused extends StoreUnavailable {
  override name = 'StoreRefused'
}

/** The user of the store lacks the right for this call. Other calls may work. */
export class NotPermitted extends StoreRefused {
  override name = 'NotPermitted'
}

/** This Redis is a replica. After a failover, another server accepts the writes. */
export class ReadOnlyReplica extends StoreRefused {
  override name = 'ReadOnlyReplica'
}

/**
 * This server of a cluster does not run the call, because it does not have the hash slot of the keys, or not all of
 * their keys. The call had no effect.
 */
export abstract class SlotElsewhere extends StoreRefused {
  override name = 'SlotElsewhere'
}

/** Another server has the hash slot (MOVED). */
export class SlotMoved extends SlotElsewhere {
  override name = 'SlotMoved'
  readonly slot: number
  /** `host:port` of the other server. The host is empty or `?` when the server does not name it. */
  readonly address: string

  constructor(slot: number, address: string, cause: Error) {
    super('redis', cause)
    this.slot = slot
    this.address = address
  }
}

/** The hash slot is being moved, and its keys are on two servers (ASK, TRYAGAIN). */
export class SlotMoving extends SlotElsewhere {
  override name = 'SlotMoving'
}

/**
 * Other calls of this process used all connections for longer than this call could wait. The store did not receive the
 * call. The call is not at fault, and the store counts as available.
 */
export class NoFreeConnection extends StoreRefused {
  override name = 'NoFreeConnection'
}

/** The store accepts no new connection, or not in time. Open connections may still work. */
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

/**
 * The server does not have a script with this hash, because the server restarted or was flushed. The caller sends the
 * text instead.
 */
export class ScriptMissing extends Error {
  override name = 'ScriptMissing'
}

/** A row with this unique key exists. */
export class DuplicateKey extends Error {
  override name = 'DuplicateKey'
}

/**
 * A schema change adds something that exists already, or drops something that does not exist. An earlier start has made
 * the change.
 */
export class AlreadyChanged extends Error {
  override name = 'AlreadyChanged'
}

/** Another transaction won (deadlock, lock wait, changed record). The transaction may succeed when it runs again. */
export class Contention extends Error {
  override name = 'Contention'
}

/**
 * The error of the store does not show whether the data or the store is at fault. Only a write that is independent of
 * the call can show it.
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
 * Returns whether an error means that this store sent no usable answer. Returns false for a refusal, and for an error
 * of the other store.
 */
export function isUnavailable(error: unknown, store: StoreName): boolean {
  return error instanceof StoreUnavailable && !(error instanceof StoreRefused) && error.store === store
}

/**
 * Returns whether the error of a trial write means that the store refuses writes. Any other error does not show that.
 */
export function isRefusal(error: unknown): boolean {
  return (
    error instanceof UnexplainedStoreError ||
    (error instanceof StoreUnavailable && !(error instanceof NoFreeConnection))
  )
}
