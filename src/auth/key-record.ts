import type { Scope } from '../../schema/http/key.ts'

/** A secret of a key. Times are ISO 8601 in UTC. */
export interface SecretRecord {
  /** SHA-256 in hex. */
  hash: string
  expires_at: string | null
}

/** The part of a key that a check needs. The mirror in Redis has it. Times are ISO 8601 in UTC. */
export interface KeyRecord {
  id: string
  tenant: string
  scopes: Scope[]
  expires_at: string | null
  revoked_at: string | null
  rate_limit: number | null
  /** The secrets, the oldest first. There are two while the key is rotated. */
  secrets: SecretRecord[]
}

/** A key with all columns of MySQL. */
export interface StoredKey extends KeyRecord {
  name: string
  created_at: string
  last_used_at: string | null
}

/** Renders the record of a key for the mirror. Equal records have equal texts. */
export function renderRecord({ id, tenant, scopes, expires_at, rate_limit, secrets }: KeyRecord): string {
  return JSON.stringify({
    id,
    tenant,
    scopes,
    expires_at,
    rate_limit,
    secrets: secrets.map(secret => ({ hash: secret.hash, expires_at: secret.expires_at }))
  })
}

/** Parses the record of a key in the mirror. Returns undefined when the text is damaged or has another form. */
export function parseRecord(text: string, revoked_at: string | null): KeyRecord | undefined {
  try {
    const record = JSON.parse(text) as KeyRecord
    const complete =
      typeof record.id === 'string' &&
      typeof record.tenant === 'string' &&
      Array.isArray(record.scopes) &&
      Array.isArray(record.secrets) &&
      record.secrets.every(({ hash }) => typeof hash === 'string')
    return complete ? { ...record, revoked_at } : undefined
  } catch {
    return undefined
  }
}

/** Returns a time as milliseconds; infinity for none. */
export function endOf(time: string | null): number {
  return time === null ? Number.POSITIVE_INFINITY : Date.parse(time)
}

/** Returns whether a secret is still accepted. */
export function isLive({ expires_at }: SecretRecord): boolean {
  return endOf(expires_at) > Date.now()
}
