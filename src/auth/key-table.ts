import type { Scope } from '../../schema/http/key.ts'
import type { MysqlStore } from '../stores/mysql/store.ts'
import { KeyNotFound, KeyRefused } from './errors.ts'
import { endOf, type StoredKey } from './key-record.ts'

/** One row of a key with one of its secrets. */
interface Row extends Omit<StoredKey, 'scopes' | 'secrets'> {
  scopes: string
  secret_id: number
  hash: string | null
  secret_expires_at: string | null
}

/** The columns of a new key. */
export type NewStoredKey = Pick<
  StoredKey,
  'id' | 'name' | 'tenant' | 'scopes' | 'created_at' | 'expires_at' | 'rate_limit'
>

/** The keys in MySQL. Each call throws {StoreUnavailable} while MySQL is unavailable. */
export interface KeyTable {
  /** Returns whether there is a key, valid or not. */
  any: () => Promise<boolean>
  /** Reads keys by id. A key that does not exist is missing in the map. */
  read: (ids: string[]) => Promise<Map<string, StoredKey>>
  /** Reads the keys whose id is above `after`, by id. */
  page: (after: string, limit: number) => Promise<StoredKey[]>
  insert: (key: NewStoredKey, hash: string) => Promise<void>
  /**
   * Adds a secret. The previous secret stays valid until `keepUntil`. Older secrets end at once.
   * @throws {KeyNotFound} for an unknown id.
   * @throws {KeyRefused} for a key that is revoked or has expired.
   */
  rotate: (id: string, hash: string, now: string, keepUntil: string) => Promise<void>
  /** Revokes keys that are not revoked yet. Returns how many of the ids exist. */
  revoke: (ids: string[], at: string) => Promise<number>
  /** Records a use of keys at a time. */
  recordUse: (ids: string[], at: string) => Promise<void>
}

const SELECT = `SELECT k.id, k.name, k.tenant, k.scopes, k.created_at, k.expires_at, k.revoked_at, k.last_used_at,
  k.rate_limit, s.id AS secret_id, s.hash, s.expires_at AS secret_expires_at
  FROM`
const SECRETS = 'LEFT JOIN api_key_secrets s ON s.key_id = k.id'

/** Creates the access to the keys in MySQL. */
export function createKeyTable(mysql: MysqlStore): KeyTable {
  return {
    any: async () => (await mysql.rows('SELECT 1 FROM api_keys LIMIT 1', [])).length > 0,
    read: async ids => {
      const sql = `${SELECT} api_keys k ${SECRETS} WHERE k.id IN (?) ORDER BY k.id, s.id`
      return new Map(toKeys(await mysql.rows<Row>(sql, [ids])).map(key => [key.id, key]))
    },
    page: async (after, limit) => {
      const keys = '(SELECT * FROM api_keys WHERE id > ? ORDER BY id LIMIT ?) k'
      return toKeys(await mysql.rows<Row>(`${SELECT} ${keys} ${SECRETS} ORDER BY k.id, s.id`, [after, limit]))
    },
    insert: (key, hash) =>
      mysql.transaction(async ({ run }) => {
        const { id, name, tenant, scopes, created_at, expires_at, rate_limit } = key
        await run(
          'INSERT INTO api_keys (id, name, tenant, scopes, created_at, expires_at, rate_limit) VALUES (?)',
          [[id, name, tenant, scopes.join(' '), fromIso(created_at), fromIso(expires_at), rate_limit]]
        )
        await run('INSERT INTO api_key_secrets (key_id, hash, created_at) VALUES (?)', [
          [id, hash, fromIso(created_at)]
        ])
      }, 'short'),
    rotate: (id, hash, now, keepUntil) => rotate(mysql, id, hash, now, keepUntil),
    revoke: async (ids, at) =>
      mysql.transaction(async ({ run, rows }) => {
        await run('UPDATE api_keys SET revoked_at = ? WHERE id IN (?) AND revoked_at IS NULL', [
          fromIso(at),
          ids
        ])
        return (await rows('SELECT id FROM api_keys WHERE id IN (?)', [ids])).length
      }, 'short'),
    recordUse: async (ids, at) => {
      const time = fromIso(at)
      await mysql.transaction(({ run }) =>
        run(
          'UPDATE api_keys SET last_used_at = ? WHERE id IN (?) AND (last_used_at IS NULL OR last_used_at < ?)',
          [time, ids, time]
        )
      )
    }
  }
}

function rotate(mysql: MysqlStore, id: string, hash: string, now: string, keepUntil: string): Promise<void> {
  return mysql.transaction(async ({ run, rows }) => {
    const [key] = await rows<Pick<Row, 'revoked_at' | 'expires_at'>>(
      'SELECT revoked_at, expires_at FROM api_keys WHERE id = ? FOR UPDATE',
      [id]
    )
    if (!key) throw new KeyNotFound(id)
    if (key.revoked_at !== null) throw new KeyRefused(`The key ${id} is revoked: create another one.`)
    if (endOf(toIso(key.expires_at)) <= Date.parse(now))
      throw new KeyRefused(`The key ${id} has expired: create another one.`)
    const [newest] = await rows<{ id: number | null }>(
      'SELECT MAX(id) AS id FROM api_key_secrets WHERE key_id = ?',
      [id]
    )
    await run('DELETE FROM api_key_secrets WHERE key_id = ? AND id < ?', [id, newest?.id ?? 0])
    await run('UPDATE api_key_secrets SET expires_at = ? WHERE key_id = ?', [fromIso(keepUntil), id])
    await run('INSERT INTO api_key_secrets (key_id, hash, created_at) VALUES (?)', [[id, hash, fromIso(now)]])
  }, 'short')
}

/** Combines the rows of each key. The rows of a key follow each other. */
function toKeys(rows: Row[]): StoredKey[] {
  const keys: StoredKey[] = []
  for (const { scopes, secret_id: _, hash, secret_expires_at, ...row } of rows) {
    let key = keys.at(-1)
    if (key?.id !== row.id) {
      key = {
        ...row,
        scopes: scopes.split(' ') as Scope[],
        created_at: toIso(row.created_at) as string,
        expires_at: toIso(row.expires_at),
        revoked_at: toIso(row.revoked_at),
        last_used_at: toIso(row.last_used_at),
        secrets: []
      }
      keys.push(key)
    }
    if (hash !== null) key.secrets.push({ hash, expires_at: toIso(secret_expires_at) })
  }
  return keys
}

/** Converts ISO 8601 in UTC to the form of MySQL, without the Z. */
function fromIso(iso: string | null): string | null {
  return iso === null ? null : iso.slice(0, -1)
}

/** Converts DATETIME text to ISO 8601 in UTC. */
function toIso(datetime: string | null): string | null {
  return datetime === null ? null : `${datetime.replace(' ', 'T')}Z`
}
