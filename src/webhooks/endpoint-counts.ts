import type { MysqlStore } from '../stores/mysql/store.ts'

/** The number of endpoints of all tenants by state. */
export interface EndpointCounts {
  /** Endpoints that receive events. */
  enabled: number
  /** Endpoints that are enabled, and get only a probe from time to time. */
  parked: number
  disabled: number
}

/** Counts the endpoints. @throws {StoreUnavailable} */
export async function countEndpoints(mysql: MysqlStore): Promise<EndpointCounts> {
  const [row] = await mysql.rows<Record<keyof EndpointCounts, string | null>>(
    `SELECT SUM(state = 'enabled' AND parked_until IS NULL) AS enabled,
       SUM(state = 'enabled' AND parked_until IS NOT NULL) AS parked,
       SUM(state = 'disabled') AS disabled FROM webhook_endpoints`,
    []
  )
  return {
    enabled: Number(row?.enabled ?? 0),
    parked: Number(row?.parked ?? 0),
    disabled: Number(row?.disabled ?? 0)
  }
}
