import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { OrderRecord } from '../order.ts'
import { COLUMNS, fromRow, type OrderRow } from './row.ts'
import { readTotals, type Totals } from './totals.ts'

/** Reads orders from MySQL. Every call throws `StoreUnavailable` when MySQL is unavailable. */
export interface OrderStore {
  /** Finds the orders that have a row, among `ids`. The keys of the map are order ids. */
  find: (ids: string[]) => Promise<Map<string, OrderRecord>>
  /**
   * Finds the ids that have a row, among `ids`. Every accept calls this and mostly finds none, so it reads only the
   * index.
   */
  findIds: (ids: string[]) => Promise<string[]>
  /** Reads the totals over all rows. The cost does not grow with the number of rows. */
  totals: () => Promise<Totals>
}

/** Creates the store, which reads from `mysql`. */
export function createOrderStore(mysql: MysqlStore): OrderStore {
  return {
    find: async ids => {
      const rows = await mysql.rows<OrderRow>(`SELECT ${COLUMNS} FROM orders WHERE order_id IN (?)`, [ids])
      return new Map(rows.map(row => [row.order_id, fromRow(row)]))
    },
    findIds: async ids => {
      const rows = await mysql.rows<Pick<OrderRow, 'order_id'>>(
        'SELECT order_id FROM orders WHERE order_id IN (?)',
        [ids]
      )
      return rows.map(row => row.order_id)
    },
    totals: () => readTotals(mysql)
  }
}
