import { createHash } from 'node:crypto'
import type { Ordering, OrderQuery } from '../../../schema/http/order-list.ts'

/** The end of a page: the values by which the list is sorted, of its last order. */
export interface Position {
  /** The time of acceptance (UTC ISO 8601 with milliseconds), or the amount as decimal text. */
  value: string
  /** The id of the row. */
  id: string
  /** The `as_of` of the first page. A walk by amount keeps it: only then does it see each order once. */
  asOf: string
}

/** The cursor is of another list, or of no list. */
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

/** Writes the cursor of a position. It is only good for a query with the same filters and order. */
export function writeCursor(query: OrderQuery, { value, id, asOf }: Position): string {
  return Buffer.from(JSON.stringify([fingerprint(query), value, id, asOf])).toString('base64url')
}

/**
 * Reads the cursor of a query; undefined when the query has none.
 * @throws {InvalidCursor} when it is of another list, or was changed.
 */
export function readCursor(query: OrderQuery): Position | undefined {
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
  if (of !== fingerprint(query) || !isValid) throw new InvalidCursor()
  return { value, id, asOf }
}

/** The column by which an ordering sorts. */
export function columnOf(order: Ordering): 'created_at' | 'amount' {
  return order.endsWith('amount') ? 'amount' : 'created_at'
}

/** Names the filters and the order of a query, but not its page. */
function fingerprint({ cursor, limit, ...rest }: OrderQuery): string {
  const filters = Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256').update(JSON.stringify(filters)).digest('base64url').slice(0, 12)
}
