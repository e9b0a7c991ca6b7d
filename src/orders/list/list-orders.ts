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
  /** True when the next page has orders now. */
  hasMore: boolean
  /** The cursor of the next page; null when the next page can never have an order. */
  next: string | null
  /** The list has all matching orders that were accepted before this time, and no other orders. */
  asOf: string
}

/** Lists orders, for one api process. */
export interface OrderLists {
  /**
   * Reads a page of the orders of a tenant.
   * @throws {UnsupportedFilter} when no index supports a filter.
   * @throws {InvalidCursor} when the cursor is invalid, or is from another list.
   * @throws {StoreUnavailable} when a store is unavailable, because a list needs both stores.
   */
  page: (query: OrderQuery, tenant: string) => Promise<OrderPage>
}

/** Creates the lists. They read orders from MySQL. */
export function createOrderLists(mysql: MysqlStore, asOf: AsOf): OrderLists {
  return {
    page: async (query, tenant) => {
      checkFilters(query)
      const after = readCursor(query, tenant)
      const newest = await asOf.read()
      const byTime = columnOf(query.order) === 'created_at'
      // In a list by amount, a new order can appear on any page. All pages therefore use the time of the first page.
      const until = byTime ? newest : (after?.asOf ?? newest)
      const { sql, values } = selectPage(query, { tenant, asOf: until, after, limit: query.limit + 1 })
      const rows = await mysql.rows<OrderRow & { id: string }>(sql, values)
      const page = rows.slice(0, query.limit).map(row => ({ id: row.id, order: fromRow(row) }))
      const hasMore = rows.length > query.limit
      const last = page.at(-1)
      const position = last
        ? { value: sortValue(last.order, byTime), id: String(last.id), asOf: until }
        : after
      // A new order appears at the end of a list by ascending time.
      const mayGrow = query.order === 'created_at'
      return {
        documents: page.map(({ order }) => renderDocument(order)),
        hasMore,
        next: position && (hasMore || mayGrow) ? writeCursor(query, tenant, position) : null,
        asOf: until
      }
    }
  }
}

function sortValue(order: OrderRecord, byTime: boolean): string {
  return byTime ? order.created_at : order.amount
}
