import { StoreUnavailable } from '../stores/errors.ts'
import type { KeyMirror, Mirrored } from './key-mirror.ts'
import { type KeyRecord, renderRecord, type StoredKey } from './key-record.ts'
import type { KeyTable } from './key-table.ts'

/** The keys of both stores. */
export interface Reconciled {
  /** The keys that exist. A key is revoked when one of the stores says so. */
  records: Map<string, KeyRecord>
  /** Whether a store with all keys answered. Then a key that is missing in `records` does not exist. */
  whole: boolean
  /** Why no store with all keys answered. */
  reason: unknown
}

/** Reads keys from both stores, and repairs differences. It does not reject when a store is unavailable. */
export type Reconcile = (ids: string[]) => Promise<Reconciled>

/** Creates the function. MySQL decides about a key. While MySQL is unavailable, the mirror decides. */
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
      // A repair that failed now is done by the next run.
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

/** Resolves to the result of a call, or to the error of an unavailable store. Other errors stay unchanged. */
async function settle<T>(call: Promise<T>): Promise<{ value: T } | { error: StoreUnavailable }> {
  try {
    return { value: await call }
  } catch (error) {
    if (error instanceof StoreUnavailable) return { error }
    throw error
  }
}
