import { timingSafeEqual } from 'node:crypto'
import { createMicroBatch } from '../async/micro-batch.ts'
import { StoreUnavailable } from '../stores/errors.ts'
import type { Caller } from './caller.ts'
import { LookUpsFull } from './errors.ts'
import { endOf, type KeyRecord } from './key-record.ts'
import type { PresentedKey } from './key-text.ts'
import type { Reconcile, Reconciled } from './reconcile.ts'

/** The most ids of one query, and the most callers that wait for look-ups. */
const BATCH = 1000
const MAX_WAITING = 2000

/** How long a key stays in memory after its last use (ms). */
const KEEP_UNUSED = 3_600_000

/** The most unknown keys in memory. When there are more, all are forgotten. */
const MAX_UNKNOWN = 10_000

/** A secret of a key. */
interface Secret {
  digest: Buffer
  until: number
}

/** A key in memory. */
interface Entry {
  record: KeyRecord
  caller: Caller
  secrets: Secret[]
  until: number
  usedAt: number
  /** Whether a use is not recorded yet. */
  used: boolean
}

/** The keys that callers of this process have sent. */
export interface KnownKeys {
  /**
   * Returns the caller of a key from memory. Returns `refused` for an invalid key, and `unknown` when only the stores
   * have the answer.
   */
  check: (key: PresentedKey) => Caller | 'refused' | 'unknown'
  /**
   * Asks the stores for a key. Concurrent callers wait for the same query. Resolves to undefined for a key that does
   * not exist.
   * @throws {StoreUnavailable} when no store with all keys answers.
   * @throws {LookUpsFull} when too many callers wait.
   */
  find: (key: PresentedKey) => Promise<Caller | undefined>
  /** Reads keys again, by default all keys in memory. It does not reject when a store is unavailable. */
  refresh: (ids?: string[]) => Promise<void>
  /** Refuses a key from now on. */
  revoke: (id: string, at: string) => void
  /** Returns the ids of the keys that were used since the last call. */
  takeUsed: () => string[]
}

/** Creates the keys in memory of a process. */
export function createKnownKeys(reconcile: Reconcile): KnownKeys {
  const entries = new Map<string, Entry>()
  const unknown = new Set<string>()
  const matches = createMatch()
  let waiting = 0

  const take = (ids: string[], { records, whole }: Reconciled) => {
    for (const id of ids) {
      const old = entries.get(id)
      const record = records.get(id)
      if (record) {
        // A revocation is final. An older copy of the key must not undo it.
        const revoked_at = record.revoked_at ?? old?.record.revoked_at ?? null
        entries.set(id, toEntry({ ...record, revoked_at }, old))
      } else if (whole) entries.delete(id)
    }
  }
  const lookUp = createMicroBatch<string, Reconciled>({
    run: async ids => {
      const found = await reconcile([...new Set(ids)])
      take(ids, found)
      return ids.map(() => found)
    },
    size: BATCH,
    inFlight: 1
  })
  const check = (key: PresentedKey) => {
    const entry = entries.get(key.id)
    if (!entry) return 'unknown'
    const now = Date.now()
    if (entry.record.revoked_at !== null || entry.until <= now) return 'refused'
    for (const secret of entry.secrets) {
      if (!matches(key, secret)) continue
      if (secret.until <= now) return 'refused'
      entry.usedAt = now
      entry.used = true
      return entry.caller
    }
    return 'unknown'
  }

  return {
    check,
    find: async key => {
      const name = `${key.id}.${key.digest.toString('base64')}`
      // Secrets are random, so a secret that does not exist now never will exist.
      if (unknown.has(name)) return undefined
      if (waiting >= MAX_WAITING) throw new LookUpsFull('Too many unknown keys are looked up now. Try again.')
      waiting++
      try {
        const { whole, reason } = await lookUp(key.id)
        const found = check(key)
        if (typeof found === 'object') return found
        if (found === 'unknown' && !whole) throw new StoreUnavailable('mysql', reason)
        if (found === 'unknown') {
          if (unknown.size >= MAX_UNKNOWN) unknown.clear()
          unknown.add(name)
        }
        return undefined
      } finally {
        waiting--
      }
    },
    refresh: async ids => {
      const oldest = Date.now() - KEEP_UNUSED
      for (const [id, { usedAt, used }] of entries) if (!used && usedAt < oldest) entries.delete(id)
      const all = ids ?? [...entries.keys()]
      for (let at = 0; at < all.length; at += BATCH) {
        const some = all.slice(at, at + BATCH)
        take(some, await reconcile(some))
      }
    },
    revoke: (id, at) => markRevoked(entries.get(id), at),
    takeUsed: () => takeUsed(entries)
  }
}

/** Creates the comparison of keys with secrets. The two that were equal last need no comparison again. */
function createMatch(): (key: PresentedKey, secret: Secret) => boolean {
  const last = new WeakMap<PresentedKey, Secret>()
  return (key, secret) => {
    if (last.get(key) === secret) return true
    const same = timingSafeEqual(secret.digest, key.digest)
    if (same) last.set(key, secret)
    return same
  }
}

function toEntry(record: KeyRecord, old: Entry | undefined): Entry {
  const { id, tenant, scopes, rate_limit, expires_at, secrets } = record
  return {
    record,
    caller: Object.freeze({ tenant, scopes, id: `key:${id}`, rateLimit: rate_limit }),
    secrets: secrets
      .map(({ hash, expires_at: until }) => ({ digest: Buffer.from(hash, 'hex'), until: endOf(until) }))
      .filter(({ digest }) => digest.length === 32),
    until: endOf(expires_at),
    usedAt: old?.usedAt ?? Date.now(),
    used: old?.used ?? false
  }
}

/** Returns the ids of the used keys, and records that they were returned. */
function takeUsed(entries: Map<string, Entry>): string[] {
  const used: string[] = []
  for (const [id, entry] of entries) {
    if (!entry.used) continue
    entry.used = false
    used.push(id)
  }
  return used
}

function markRevoked(entry: Entry | undefined, at: string): void {
  if (entry) entry.record.revoked_at ??= at
}
