import { StoreUnavailable } from '../stores/errors.ts'
import type { KeyMirror, Mirrored } from './key-mirror.ts'
import { type KeyRecord, renderRecord, type StoredKey } from './key-record.ts'
import type { KeyTable } from './key-table.ts'

/** What the stores say about some keys. */
export interface Reconciled {
  /** The keys that a store has. A key is revoked once either store says so. */
  records: Map<string, KeyRecord>
  /** Whether a store that has every key answered: then a key that is missing in `records` does not exist. */
  whole: boolean
  /** Why no whole store answered. */
  reason: unknown
}

/** Reads keys from both stores and repairs what differs. Never rejects because a store is unavailable. */
export type Reconcile = (ids: string[]) => Promise<Reconciled>

/** Creates the reading of keys from both stores. MySQL decides about a key; the mirror answers while it is unavailable. */
export function createReconcile(table: KeyTable, mirror: KeyMirror): Reconcile {
  const repair = async (ids: string[], stored: Map<string, StoredKey>, mirrored: Mirrored) => {
    const rows = [...stored.values()]
    const marked = rows.filter(({ id, revoked_at }) => revoked_at === null && mirrored.revoked.has(id))
    await Promise.all([
      mirror.write(rows.filter(row => mirrored.texts.get(row.id) !== renderRecord(row))),
      mirror.revoke(
        rows.flatMap(({ id, revoked_at }) =>
          revoked_at === null || mirrored.revoked.has(id) ? [] : [{ id, at: revoked_at }]
        )
      ),
      mirror.forget(ids.filter(id => !stored.has(id) && mirrored.texts.has(id))),
      ...marked.map(({ id }) => table.revoke([id], mirrored.revoked.get(id) as string))
    ])
  }

  return async ids => {
    const [stored, mirrored] = await Promise.all([settle(table.read(ids)), settle(mirror.read(ids))])
    if ('value' in stored && 'value' in mirrored) {
      const repaired = await settle(repair(ids, stored.value, mirrored.value))
      // The next run repairs what a store did not take now.
      void repaired
    }
    const revoked = 'value' in mirrored ? mirrored.value.revoked : new Map<string, string>()
    const known: Map<string, KeyRecord> =
      'value' in stored ? stored.value : 'value' in mirrored ? mirrored.value.records : new Map()
    const records = new Map(
      [...known].map(([id, record]) => [
        id,
        { ...record, revoked_at: record.revoked_at ?? revoked.get(id) ?? null }
      ])
    )
    return {
      records,
      whole: 'value' in stored || ('value' in mirrored && mirrored.value.whole),
      reason: 'error' in stored ? stored.error : undefined
    }
  }
}

/** Resolves to the result of a call, or to the error of an unavailable store. Other errors pass through. */
async function settle<T>(call: Promise<T>): Promise<{ value: T } | { error: StoreUnavailable }> {
  try {
    return { value: await call }
  } catch (error) {
    if (error instanceof StoreUnavailable) return { error }
    throw error
  }
}
