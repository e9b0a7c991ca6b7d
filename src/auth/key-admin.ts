import { DEFAULT_TENANT, type NewKey } from '../../schema/http/key.ts'
import { StoreUnavailable } from '../stores/errors.ts'
import { isAdminScope } from './caller.ts'
import { KeyNotFound, KeyRefused } from './errors.ts'
import type { KeyMirror } from './key-mirror.ts'
import type { StoredKey } from './key-record.ts'
import type { KeyTable } from './key-table.ts'
import { newKeyId, newSecret } from './key-text.ts'
import type { KnownKeys } from './known-keys.ts'

/** The number of keys that one query of a copy reads. */
const PAGE = 1000

/** The keys are copied again when the mirror counts as whole for less than this time (ms). */
const COPY_BELOW = 30_000

/** The last time that a key may expire. MySQL can store a month more, which leaves room for time zones. */
const LAST_TIME = Date.parse('9999-12-01T00:00:00Z')

/** A key with its text. The text is not stored. */
export interface Issued {
  stored: StoredKey
  key: string
}

/** What operators do with keys. */
export interface KeyAdmin {
  /** @throws {KeyRefused} for admin scopes of a tenant other than the default one, and for a key that has expired. */
  create: (key: NewKey) => Promise<Issued>
  list: (after: string, limit: number) => Promise<StoredKey[]>
  /** Adds a secret. The previous secret stays valid for `keep` ms. @throws {KeyNotFound} @throws {KeyRefused} */
  rotate: (id: string, keep: number) => Promise<Issued>
  /** Revokes a key in each store that is available. One store is enough. @throws {KeyNotFound} */
  revoke: (id: string) => Promise<string>
  /** Copies every key into the mirror, unless another process did so a short time ago. */
  copyAll: () => Promise<void>
}

/** Creates the operations on keys. They need MySQL, except for a revocation. */
export function createKeyAdmin(table: KeyTable, mirror: KeyMirror, known: KnownKeys): KeyAdmin {
  const issued = async (id: string, key: string): Promise<Issued> => {
    // Writes the mirror as well.
    await known.refresh([id])
    const stored = (await table.read([id])).get(id)
    if (!stored) throw new KeyNotFound(id)
    return { stored, key }
  }
  return {
    create: async ({ name, tenant = DEFAULT_TENANT, scopes, expires_at, rate_limit = null }) => {
      refuseScopes(tenant, scopes.some(isAdminScope))
      const expires = expires_at === undefined ? null : expiryOf(expires_at)
      const id = newKeyId()
      const { key, hash } = newSecret(id)
      const now = new Date().toISOString()
      await table.insert({ id, name, tenant, scopes, created_at: now, expires_at: expires, rate_limit }, hash)
      return issued(id, key)
    },
    list: (after, limit) => table.page(after, limit),
    rotate: async (id, keep) => {
      const { key, hash } = newSecret(id)
      const now = Date.now()
      const iso = (time: number) => new Date(time).toISOString()
      await table.rotate(id, hash, iso(now), iso(now + keep))
      return issued(id, key)
    },
    revoke: async id => {
      const at = new Date().toISOString()
      const stored = await ifAvailable(table.revoke([id], at))
      if (stored === 0) throw new KeyNotFound(id)
      // Without MySQL, only a key in the mirror is known to exist.
      const copy = stored === undefined ? (await mirror.read([id])).records.get(id) : undefined
      if (stored === undefined && !copy) throw new StoreUnavailable('mysql')
      const mark = mirror.revoke([{ id, at }])
      await (stored === undefined ? mark : ifAvailable(mark))
      known.revoke(id, at)
      const row = stored === undefined ? undefined : (await ifAvailable(table.read([id])))?.get(id)
      return row?.revoked_at ?? copy?.revoked_at ?? at
    },
    copyAll: async () => {
      if ((await mirror.wholeFor()) > COPY_BELOW) return
      let after = ''
      for (;;) {
        const keys = await table.page(after, PAGE)
        const last = keys.at(-1)
        // Without keys, there is nothing to copy.
        if (!last) break
        // A key that was revoked while MySQL was unavailable has its mark only in the mirror.
        const { revoked } = await mirror.read(keys.map(({ id }) => id))
        for (const { id, revoked_at } of keys) {
          const at = revoked.get(id)
          if (revoked_at === null && at !== undefined) await table.revoke([id], at)
        }
        await mirror.write(keys)
        await mirror.revoke(
          keys.flatMap(({ id, revoked_at }) => (revoked_at ? [{ id, at: revoked_at }] : []))
        )
        after = last.id
      }
      if (after !== '') await mirror.complete()
    }
  }
}

/** @throws {KeyRefused} for admin scopes of a tenant other than the default one. */
function refuseScopes(tenant: string, admin: boolean): void {
  if (admin && tenant !== DEFAULT_TENANT)
    throw new KeyRefused(
      `Admin scopes reach every tenant, so only keys of the tenant ${DEFAULT_TENANT} have them.`
    )
}

/** Returns a time in UTC. @throws {KeyRefused} for a time in the past, and for a time that MySQL cannot store. */
function expiryOf(text: string): string {
  const time = Date.parse(text)
  if (!(time > Date.now() && time < LAST_TIME))
    throw new KeyRefused('expires_at must be a time in the future, before December 9999.')
  return new Date(time).toISOString()
}

/** Resolves to undefined when the store of a call is unavailable. */
async function ifAvailable<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call
  } catch (error) {
    if (error instanceof StoreUnavailable) return undefined
    throw error
  }
}
