import type { OrderQuery } from '../../../schema/http/order-list.ts'
import { canonicalAmount } from '../money.ts'
import { COLUMNS, toDatetime, WAITING } from '../tables/row.ts'
import { columnOf, type Position } from './cursor.ts'

/** The query has a filter that cannot be combined with its order. */
export class UnsupportedFilter extends Error {
  override name = 'UnsupportedFilter'
  readonly faults: { pointer: string; detail: string }[]

  constructor(names: string[], detail: string) {
    super(`The list cannot be filtered so: ${detail}.`)
    this.faults = names.map(name => ({ pointer: `/${name}`, detail }))
  }
}

/** The statuses of rows for each status that a client can request. */
const ROW_STATUSES = {
  processing: ['processing', WAITING],
  completed: ['completed'],
  failed: ['failed'],
  cancelled: ['cancelled']
} as const

/** An SQL condition, and its parameters. */
type Condition = [sql: string, ...values: (string | number)[]]

/**
 * Checks that an index supports the filters in the order of the query.
 * @throws {UnsupportedFilter} when no index supports a filter.
 */
export function checkFilters(query: OrderQuery): void {
  const given = (names: (keyof OrderQuery)[]) => names.filter(name => query[name] !== undefined)
  if (columnOf(query.order) === 'amount') {
    const refused = given(['status', 'customer_id', 'created_after', 'created_before'])
    if (refused.length > 0)
      throw new UnsupportedFilter(refused, 'the order amount takes only min_amount and max_amount')
    return
  }
  const refused = given(['min_amount', 'max_amount'])
  if (refused.length > 0) throw new UnsupportedFilter(refused, 'only the order amount takes it')
}

/**
 * Makes the statement for one page. The page has orders of the tenant that were accepted before `asOf` and come after
 * the position `after`. A list by time reads each status with its own SELECT, because the index sorts the rows of one
 * status by time. It then merges the rows.
 */
export function selectPage(
  query: OrderQuery,
  { tenant, asOf, after, limit }: { tenant: string; asOf: string; after: Position | undefined; limit: number }
): { sql: string; values: (string | number)[] } {
  const column = columnOf(query.order)
  const backwards = query.order.startsWith('-')
  const direction = backwards ? 'DESC' : 'ASC'
  const order = `ORDER BY ${column} ${direction}, id ${direction} LIMIT ${limit}`
  const common = [...filters(query, tenant, asOf), ...(after ? [beyond(column, backwards, after)] : [])]
  const part = (conditions: Condition[]) => ({
    sql: `SELECT id, ${COLUMNS} FROM orders FORCE INDEX (${indexOf(query)}) WHERE ${conditions.map(([sql]) => sql).join(' AND ')} ${order}`,
    values: conditions.flatMap(([, ...values]) => values)
  })
  if (column === 'amount') return part(common)
  const statuses =
    query.status === undefined ? Object.values(ROW_STATUSES).flat() : ROW_STATUSES[query.status]
  const parts = statuses.map(status => part([['status = ?', status], ...common]))
  return {
    sql: `${parts.map(({ sql }) => `(${sql})`).join(' UNION ALL ')} ${order}`,
    values: parts.flatMap(({ values }) => values)
  }
}

/** Returns the name of the index that sorts the rows in the order of the query. */
function indexOf({ order, customer_id }: OrderQuery): string {
  if (columnOf(order) === 'amount') return 'orders_tenant_amount'
  return customer_id === undefined
    ? 'orders_status_tenant_created_at'
    : 'orders_customer_tenant_status_created_at'
}

function filters(query: OrderQuery, tenant: string, asOf: string): Condition[] {
  const { customer_id, created_after, created_before, min_amount, max_amount } = query
  const time = (text: string) => toDatetime(new Date(text).toISOString())
  const conditions: Condition[] = [
    ['tenant = ?', tenant],
    ['created_at < ?', toDatetime(asOf)]
  ]
  if (customer_id !== undefined) conditions.push(['customer_id = ?', customer_id])
  if (created_after !== undefined) conditions.push(['created_at > ?', time(created_after)])
  if (created_before !== undefined) conditions.push(['created_at < ?', time(created_before)])
  if (min_amount !== undefined) conditions.push(['amount >= ?', canonicalAmount(min_amount)])
  if (max_amount !== undefined) conditions.push(['amount <= ?', canonicalAmount(max_amount)])
  return conditions
}

/**
 * Returns the condition for the rows after a position. Its first part limits the range in the index, because MySQL
 * derives no range from a comparison of two columns.
 */
function beyond(column: 'created_at' | 'amount', backwards: boolean, { value, id }: Position): Condition {
  const than = backwards ? '<' : '>'
  const at = column === 'amount' ? value : toDatetime(value)
  return [`${column} ${than}= ? AND (${column} ${than} ? OR id ${than} ?)`, at, at, id]
}
