import { createHash } from 'node:crypto'
import { DEFAULT_TENANT } from '../../../schema/http/key.ts'
import type { Ordering, OrderQuery } from '../../../schema/http/order-list.ts'

/** The position of the last order of a page. The list is sorted by `value`, then by `id`. */
export interface Position {
  /** The time of acceptance (UTC ISO 8601 with milliseconds), or the amount as decimal text. */
  value: string
  /** The id of the row. */
  id: string
  /**
   * The `as_of` of a page. In a list by amount, all pages use the `as_of` of the first page, so that the pages
   * together list each order once.
   */
  asOf: string
}

/** The cursor is invalid, or is from a list of another tenant, with other filters or with another order. */
export class InvalidCursor extends Error {
  override name = 'InvalidCursor'

  constructor() {
    super(
      'The cursor is not of this list. Send the `next` of a page with the same filters and the same order.'
    )
  }
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const VALUE: Record<'created_at' | 'amount', RegExp> = { created_at: TIME, amount: /^\d{1,10}(\.\d{1,4})?$/ }

/** Makes the cursor for a position. The cursor is valid only for the same tenant, the same filters and the same order. */
export function writeCursor(query: OrderQuery, tenant: string, { value, id, asOf }: Position): string {
  return Buffer.from(JSON.stringify([fingerprint(query, tenant), value, id, asOf])).toString('base64url')
}

/**
 * Reads the cursor of a query. Returns undefined when the query has no cursor.
 * @throws {InvalidCursor} when the cursor is invalid, or is from a list with other filters or another order.
 */
export function readCursor(query: OrderQuery, tenant: string): Position | undefined {
  if (query.cursor === undefined) return undefined
  let parts: unknown
  try {
    parts = JSON.parse(Buffer.from(query.cursor, 'base64url').toString())
  } catch {
    throw new InvalidCursor()
  }
  const texts = Array.isArray(parts) ? parts.map(String) : []
  const [of, value = '', id = '', asOf = ''] = texts
  const isValid = VALUE[columnOf(query.order)].test(value) && /^\d{1,19}$/.test(id) && TIME.test(asOf)
  if (of !== fingerprint(query, tenant) || !isValid) throw new InvalidCursor()
  return { value, id, asOf }
}

/** Returns the column by which an ordering sorts. */
export function columnOf(order: Ordering): 'created_at' | 'amount' {
  return order.endsWith('amount') ? 'amount' : 'created_at'
}

/** Returns a hash of the tenant, the filters and the order of a query, without its cursor and limit. */
function fingerprint({ cursor, limit, ...rest }: OrderQuery, tenant: string): string {
  const own = tenant === DEFAULT_TENANT ? {} : { tenant }
  const filters = Object.entries({ ...rest, ...own }).sort(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256').update(JSON.stringify(filters)).digest('base64url').slice(0, 12)
}
