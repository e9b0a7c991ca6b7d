import { createHash, randomUUID } from 'node:crypto'
import type { MysqlStore } from '../stores/mysql/store.ts'
import { IdempotencyKeyInUse, IdempotencyKeyReused } from './errors.ts'
import { createIdempotencyTable, type Owner, type StoredAnswer } from './key-table.ts'

/** A request with a key. A key belongs to its caller: other callers may use the same text. */
export interface KeyedRequest {
  tenant: string
  /** The name of the caller; undefined for callers without credentials, which share their keys. */
  caller: string | undefined
  key: string
  /** Identifies what is requested: route, parameters and body. */
  fingerprint: string
}

/** The run of a request. Exactly one of its methods must be called when the run has ended. */
export interface Attempt {
  /** Stores the answer for later requests with the key. */
  finish: (answer: StoredAnswer) => Promise<void>
  /** Frees the key, so that the same request runs again. */
  giveUp: () => Promise<void>
}

/** The requests with a key that this process serves. */
export interface IdempotentRequests {
  /**
   * Begins a request, or returns the answer to the earlier request with the same key.
   * @throws {IdempotencyKeyInUse} while a request with the key is in progress.
   * @throws {IdempotencyKeyReused} when the key belongs to another request.
   * @throws {StoreUnavailable} while MySQL is unavailable.
   */
  begin: (request: KeyedRequest) => Promise<{ attempt: Attempt } | { answer: StoredAnswer }>
  /** Renews the leases of the requests that run, and repeats the writes that have failed. */
  renew: () => Promise<void>
  /** Deletes some keys that have expired. Resolves to true when there may be more. */
  deleteExpired: () => Promise<boolean>
}

/** A request that this process runs. `end` is the write that ends it. It stays until the write succeeds. */
interface Running {
  owner: Owner
  end?: () => Promise<void>
}

/** Creates the requests of a process. Their keys are in MySQL, where every process finds them. */
export function createIdempotentRequests(mysql: MysqlStore): IdempotentRequests {
  const table = createIdempotencyTable(mysql)
  const running = new Set<Running>()

  const run = async (request: Running, end: () => Promise<void>) => {
    request.end = end
    await end()
    running.delete(request)
  }
  const attemptOf = (owner: Owner): Attempt => {
    const request: Running = { owner }
    running.add(request)
    return {
      finish: answer => run(request, () => table.store(owner, answer)),
      giveUp: () => run(request, () => table.release(owner))
    }
  }
  return {
    begin: async request => {
      const owner = { id: idOf(request), attempt: randomUUID() }
      const claimed = await table.claim(owner, request.fingerprint)
      if (claimed.attempt === owner.attempt) return { attempt: attemptOf(owner) }
      if (claimed.fingerprint !== request.fingerprint) throw new IdempotencyKeyReused()
      if (!claimed.answer) throw new IdempotencyKeyInUse()
      return { answer: claimed.answer }
    },
    renew: async () => {
      const requests = [...running]
      if (requests.length === 0) return
      // An answer that is not stored yet keeps its key, because its request must not run again.
      await table.renew(requests.map(({ owner }) => owner))
      const ends = requests.map(request => request.end && run(request, request.end))
      const failed = (await Promise.allSettled(ends)).find(({ status }) => status === 'rejected')
      if (failed?.status === 'rejected') throw failed.reason
    },
    deleteExpired: table.deleteExpired
  }
}

/** Returns the id of a row. It is a hash, so that the table shows neither the keys of clients nor their length. */
function idOf({ tenant, caller, key }: KeyedRequest): string {
  return createHash('sha256')
    .update(JSON.stringify([tenant, caller ?? null, key]))
    .digest('hex')
}
