import type { WebhookEndpoint } from '../../schema/http/webhook.ts'
import type { MysqlStore } from '../stores/mysql/store.ts'
import { EndpointNotFound, TooManyEndpoints } from './errors.ts'
import { fromIso, toIso } from './times.ts'

/** The most endpoints of one tenant. */
export const MOST_ENDPOINTS = 50

/** An endpoint to store. Times are ISO 8601 in UTC. */
export interface NewEndpointRow {
  id: string
  tenant: string
  url: string
  events: readonly string[] | null
  secret: string
  created_at: string
}

/** What a caller changes of an endpoint. A field that is missing stays. */
export interface EndpointRowChange {
  url?: string | undefined
  events?: readonly string[] | null | undefined
  enabled?: boolean | undefined
}

/**
 * The endpoints in MySQL, each seen only by its tenant. Each call throws {StoreUnavailable} while MySQL is unavailable,
 * and a call with an id throws {EndpointNotFound} for an unknown one.
 */
export interface EndpointTable {
  /** @throws {TooManyEndpoints} */
  insert: (row: NewEndpointRow) => Promise<void>
  list: (tenant: string) => Promise<WebhookEndpoint[]>
  read: (tenant: string, id: string) => Promise<WebhookEndpoint>
  /** An endpoint that is enabled again is no longer parked. */
  change: (tenant: string, id: string, change: EndpointRowChange) => Promise<void>
  /** Replaces the secret. The one before still signs for `keep` ms. An older one ends at once. */
  rotate: (tenant: string, id: string, secret: string, keep: number) => Promise<void>
  /** Marks an endpoint as deleted. Its rows are removed later. */
  remove: (tenant: string, id: string) => Promise<void>
}

type Row = Omit<WebhookEndpoint, 'events' | 'enabled'> & { events: string | null; state: string }

const SELECT = `SELECT id, url, events, state, disabled_reason, created_at, updated_at, failures, parked_until,
  IF(previous_until > UTC_TIMESTAMP(3), previous_until, NULL) AS previous_secret_until FROM webhook_endpoints`
const OWN = "id = ? AND tenant = ? AND state <> 'deleted'"

/** Creates the access to the endpoints in MySQL. */
export function createEndpointTable(mysql: MysqlStore): EndpointTable {
  /** Runs an UPDATE of one endpoint. The driver counts the rows that it finds, also those that stay as they are. */
  const update = async (tenant: string, id: string, set: string, values: unknown[]) => {
    const sql = `UPDATE webhook_endpoints SET ${set} WHERE ${OWN}`
    const { affectedRows } = await mysql.transaction(({ run }) => run(sql, [...values, id, tenant]), 'short')
    if (affectedRows === 0) throw new EndpointNotFound(id)
  }
  return {
    insert: row => insert(mysql, row),
    list: async tenant => {
      const sql = `${SELECT} WHERE tenant = ? AND state <> 'deleted' ORDER BY created_at, id`
      return (await mysql.rows<Row>(sql, [tenant])).map(toEndpoint)
    },
    read: async (tenant, id) => {
      const [row] = await mysql.rows<Row>(`${SELECT} WHERE ${OWN}`, [id, tenant])
      if (!row) throw new EndpointNotFound(id)
      return toEndpoint(row)
    },
    change: async (tenant, id, { url, events, enabled }) => {
      const changes: [set: string, ...values: unknown[]][] = [['updated_at = UTC_TIMESTAMP(3)']]
      if (url !== undefined) changes.push(['url = ?', url])
      if (events !== undefined) changes.push(['events = ?', toText(events)])
      if (enabled === true)
        changes.push(["state = 'enabled', disabled_reason = NULL, failures = 0, parked_until = NULL"])
      if (enabled === false) changes.push(["state = 'disabled', disabled_reason = 'requested'"])
      const sets = changes.map(([set]) => set).join(', ')
      await update(
        tenant,
        id,
        sets,
        changes.flatMap(([, ...values]) => values)
      )
    },
    rotate: async (tenant, id, secret, keep) => {
      // The assignments run from left to right.
      const set = `previous_secret = secret, previous_until = UTC_TIMESTAMP(3) + INTERVAL ? MICROSECOND, secret = ?,
        updated_at = UTC_TIMESTAMP(3)`
      await update(tenant, id, set, [keep * 1000, secret])
    },
    remove: async (tenant, id) => {
      await update(tenant, id, "state = 'deleted', updated_at = UTC_TIMESTAMP(3)", [])
    }
  }
}

function insert(mysql: MysqlStore, row: NewEndpointRow): Promise<void> {
  const { id, tenant, url, events, secret, created_at } = row
  const time = fromIso(created_at)
  return mysql.transaction(async ({ run, rows }) => {
    // Concurrent inserts of one tenant may pass this limit by a few.
    const [count] = await rows<{ endpoints: number }>(
      "SELECT COUNT(*) AS endpoints FROM webhook_endpoints WHERE tenant = ? AND state <> 'deleted'",
      [tenant]
    )
    if ((count?.endpoints ?? 0) >= MOST_ENDPOINTS) throw new TooManyEndpoints(MOST_ENDPOINTS)
    await run(
      'INSERT INTO webhook_endpoints (id, tenant, url, events, state, secret, created_at, updated_at) VALUES (?)',
      [[id, tenant, url, toText(events), 'enabled', secret, time, time]]
    )
  }, 'short')
}

function toText(events: readonly string[] | null): string | null {
  return events === null ? null : events.join(' ')
}

function toEndpoint({ state, events, ...row }: Row): WebhookEndpoint {
  return {
    ...row,
    events: events === null ? null : (events.split(' ') as WebhookEndpoint['events']),
    enabled: state === 'enabled',
    created_at: toIso(row.created_at),
    updated_at: toIso(row.updated_at),
    parked_until: toIso(row.parked_until),
    previous_secret_until: toIso(row.previous_secret_until)
  }
}
