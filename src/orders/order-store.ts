import type { MysqlStore } from '../stores/mysql.ts'
import type { OrderRecord } from './order.ts'
import { COLUMNS, fromRow, type OrderRow } from './row.ts'
import { readTotals, type Totals } from './totals.ts'
import { type Draft, type WriteOutcome, writeBatch } from './write-batch.ts'

/** The orders in MySQL. Every call throws `StoreUnavailable` when MySQL is away. */
export interface OrderStore {
  /** The orders among `ids` that have a row, by id. */
  find: (ids: string[]) => Promise<Map<string, OrderRecord>>
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
    write: drafts => writeBatch(mysql, drafts),
    totals: () => readTotals(mysql)
  }
}
