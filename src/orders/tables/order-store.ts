import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { OrderRecord } from '../order.ts'
import { COLUMNS, fromRow, type OrderRow } from './row.ts'
import { readTotals, type Totals } from './totals.ts'

/** Reads orders from MySQL. Every call throws `StoreUnavailable` when MySQL is unavailable. */
export interface OrderStore {
  /** Finds the orders among `ids` that have a row, by id. */
  find: (ids: string[]) => Promise<Map<string, OrderRecord>>
  /** Finds the ids among `ids` that have a row. Every accept calls it and mostly finds none, so it reads the index only. */
  findIds: (ids: string[]) => Promise<string[]>
  /** Reads the totals over all rows. Its cost does not grow with the rows. */
  totals: () => Promise<Totals>
}

/** Creates the store on the MySQL of orders. */
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
