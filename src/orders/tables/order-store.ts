import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { OrderRecord } from '../order.ts'
import { type Draft, type WriteOutcome, writeBatch } from '../process/write-batch.ts'
import { COLUMNS, fromRow, type OrderRow } from './row.ts'
import { readTotals, type Totals } from './totals.ts'

/** The orders in MySQL. Every call throws `StoreUnavailable` when MySQL is away. */
export interface OrderStore {
  /** The orders among `ids` that have a row, by id. */
  find: (ids: string[]) => Promise<Map<string, OrderRecord>>
  /** Those among `ids` that have a row. It is asked before every accept, and mostly in vain, so it asks for the ids alone. */
  known: (ids: string[]) => Promise<string[]>
  /** Writes finished orders and their totals in one transaction; gives an outcome for each, in their order. */
  write: (drafts: Draft[]) => Promise<WriteOutcome[]>
  /** Totals over all rows; it costs the same however many rows there are. */
  totals: () => Promise<Totals>
}

export function createOrderStore(mysql: MysqlStore): OrderStore {
  return {
    find: async ids => {
      const rows = await mysql.rows<OrderRow>(`SELECT ${COLUMNS} FROM orders WHERE order_id IN (?)`, [ids])
      return new Map(rows.map(row => [row.order_id, fromRow(row)]))
    },
    known: async ids => {
      const rows = await mysql.rows<Pick<OrderRow, 'order_id'>>(
        'SELECT order_id FROM orders WHERE order_id IN (?)',
        [ids]
      )
      return rows.map(row => row.order_id)
    },
    write: drafts => writeBatch(mysql, drafts),
    totals: () => readTotals(mysql)
  }
}
