import type { OrderQuery } from '../../../schema/http/order-list.ts'
import type { MysqlStore } from '../../stores/mysql/store.ts'
import { type OrderRecord, renderDocument } from '../order.ts'
import { fromRow, type OrderRow } from '../tables/row.ts'
import type { AsOf } from './as-of.ts'
import { columnOf, readCursor, writeCursor } from './cursor.ts'
import { checkFilters, selectPage } from './select.ts'

/** A page of orders. */
export interface OrderPage {
  documents: string[]
  /** Whether the next page has orders now. */
  hasMore: boolean
  /** The cursor of the next page; null when no later page will ever have an order. */
  next: string | null
  /** The page holds only orders accepted before this time, and a walk finds all of them. */
  asOf: string
}

/** Lists orders, for one api process. */
export interface OrderLists {
  /**
   * Reads a page of the orders of a tenant.
   * @throws {UnsupportedFilter} when no index serves a filter.
   * @throws {InvalidCursor} when the cursor is of another list.
   * @throws {StoreUnavailable} when a store is unavailable: a list needs both.
   */
  page: (query: OrderQuery, tenant: string) => Promise<OrderPage>
}

/** Creates the lists on the MySQL of orders. */
export function createOrderLists(mysql: MysqlStore, asOf: AsOf): OrderLists {
  return {
    page: async (query, tenant) => {
      checkFilters(query)
      const after = readCursor(query)
      const newest = await asOf.read()
      const byTime = columnOf(query.order) === 'created_at'
      // A new order may stand anywhere in a list by amount, so the whole walk has the orders of its first page's time.
      const until = byTime ? newest : (after?.asOf ?? newest)
      const { sql, values } = selectPage(query, { tenant, asOf: until, after, limit: query.limit + 1 })
      const rows = await mysql.rows<OrderRow & { id: string }>(sql, values)
      const page = rows.slice(0, query.limit).map(row => ({ id: row.id, order: fromRow(row) }))
      const hasMore = rows.length > query.limit
      const last = page.at(-1)
      const position = last
        ? { value: sortValue(last.order, byTime), id: String(last.id), asOf: until }
        : after
      // New orders come at the end of a list by time.
      const mayGrow = query.order === 'created_at'
      return {
        documents: page.map(({ order }) => renderDocument(order)),
        hasMore,
        next: position && (hasMore || mayGrow) ? writeCursor(query, position) : null,
        asOf: until
      }
    }
  }
}

function sortValue(order: OrderRecord, byTime: boolean): string {
  return byTime ? order.created_at : order.amount
}
