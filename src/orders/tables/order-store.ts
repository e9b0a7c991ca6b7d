import type { MysqlStore } from '../../stores/mysql/store.ts'
import { type IdentityParts, identityOf } from '../identity.ts'
import { byIdentity, ORDERS_BY_IDENTITY } from './by-identity.ts'
import { COLUMNS, fromRow, type OrderRow, type StoredOrder } from './row.ts'
import { readTotals, type Totals } from './totals.ts'

/** Reads orders from MySQL. Every call throws `StoreUnavailable` when MySQL is unavailable. */
export interface OrderStore {
  /** Finds the orders that have a row, among `identities`. The keys of the map are identities. */
  find: (identities: string[]) => Promise<Map<string, StoredOrder>>
  /**
   * Finds the identities that have a row, among `identities`. Every accept calls this and mostly finds none, so it
   * reads only the index.
   */
  findKnown: (identities: string[]) => Promise<string[]>
  /** Reads the totals over all rows. The cost does not grow with the number of rows. */
  totals: () => Promise<Totals>
}

/** Creates the store, which reads from `mysql`. */
export function createOrderStore(mysql: MysqlStore): OrderStore {
  const select = <T>(columns: string, identities: string[]) => {
    const { sql, values } = byIdentity(identities)
    return mysql.rows<T>(`SELECT ${columns} FROM ${ORDERS_BY_IDENTITY} WHERE ${sql}`, values)
  }
  return {
    find: async identities => {
      const rows = await select<OrderRow>(COLUMNS, identities)
      return new Map(rows.map(row => [identityOf(row), fromRow(row)]))
    },
    findKnown: async identities =>
      (await select<IdentityParts>('order_id, tenant', identities)).map(identityOf),
    totals: () => readTotals(mysql)
  }
}
