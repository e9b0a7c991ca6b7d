import type { MysqlStore } from '../stores/mysql.ts'
import { canonicalAmount } from './money.ts'
import type { OrderRecord } from './order.ts'
import { COLUMNS, fromRow, type OrderRow } from './row.ts'
import { type WriteOutcome, writeBatch } from './write-batch.ts'

/** Totals over all rows. Counts are safe integers; revenue is decimal text. */
export interface Totals {
  processing: number
  completed: number
  failed: number
  revenue: string
}

/** The orders in MySQL. Every call throws `StoreUnavailable` when MySQL is away. */
export interface OrderStore {
  /** The orders among `ids` that have a row, by id. */
  find: (ids: string[]) => Promise<Map<string, OrderRecord>>
  /** Writes finished orders and their totals in one transaction; gives an outcome for each, in their order. */
  write: (orders: OrderRecord[]) => Promise<WriteOutcome[]>
  /** Totals over all rows; it costs the same however many rows there are. */
  totals: () => Promise<Totals>
}

export function createOrderStore(mysql: MysqlStore): OrderStore {
  return {
    find: async ids => {
      const rows = await mysql.rows<OrderRow>(`SELECT ${COLUMNS} FROM orders WHERE order_id IN (?)`, [ids])
      return new Map(rows.map(row => [row.order_id, fromRow(row)]))
    },
    write: orders => writeBatch(mysql, orders),
    totals: async () => {
      const [row] = await mysql.rows<Record<keyof Totals, string>>(
        'SELECT SUM(processing) AS processing, SUM(completed) AS completed, SUM(failed) AS failed, SUM(revenue) AS revenue FROM order_totals',
        []
      )
      if (!row) throw new Error('order_totals is empty: the migrations did not finish')
      return {
        processing: Number(row.processing),
        completed: Number(row.completed),
        failed: Number(row.failed),
        revenue: canonicalAmount(row.revenue)
      }
    }
  }
}
