import type { RowDataPacket } from 'mysql2/promise'
import { inPartitions, type StoreAccess, withMysql } from './stores.ts'
import { identityOf } from './tenants.ts'

/** A row of `orders`, as text. The driver may have parsed the JSON columns. */
export interface Row {
  order_id: string
  tenant: string
  amount: string
  tax: string | null
  total: string | null
  status: string
  created_at: string
  updated_at: string
  processed_at: string | null
  currency: string | null
  customer_id: string | null
  items: unknown
  metadata: unknown
}

/** The sums over `order_totals` and `order_revenue`, as text. */
export interface Totals {
  processing: string
  completed: string
  failed: string
  cancelled: string
  /** The revenue of orders without a currency. */
  revenue: string
  /** The revenue of orders with a currency. */
  currency_revenue: string
}

/** A document in Redis, with the identity of its order. `ttl` is in ms; −1 if it has no TTL. */
export interface StoredDocument {
  id: string
  text: string
  ttl: number
}

/** A dead letter, with the identity and the amount of its order. */
export interface DeadLetter {
  code: string
  id: string
  amount: string
  fields: string
}

/** The contents of both stores. */
export interface Holdings {
  /** The rows of each order, by its identity. Several rows of one order are an error, which the checker reports. */
  rows: Map<string, Row[]>
  totals: Totals
  documents: StoredDocument[]
  deadLetters: DeadLetter[]
}

const PAGE = 5000

/** Reads both stores. No work should be left in the service. */
export async function readHoldings(access: StoreAccess): Promise<Holdings> {
  const [rows, totals] = await withMysql(access, async connection => {
    const query = async <T>(sql: string, values: unknown[] = []) =>
      (await connection.query<(T & RowDataPacket)[]>(sql, values))[0]
    const rows = new Map<string, Row[]>()
    for (let last = '0'; ; ) {
      const page = await query<Row & { id: string }>(
        `SELECT id, order_id, tenant, amount, tax, total, status, created_at, updated_at, processed_at, currency,
           customer_id, items, metadata
         FROM orders WHERE id > ? ORDER BY id LIMIT ${PAGE}`,
        [last]
      )
      for (const row of page) rows.set(identityOf(row), [...(rows.get(identityOf(row)) ?? []), row])
      if (page.length < PAGE) break
      last = String(page.at(-1)?.id)
    }
    const sums = ['processing', 'completed', 'failed', 'cancelled', 'revenue'].map(
      column => `CAST(COALESCE(SUM(${column}), 0) AS CHAR) AS ${column}`
    )
    const [totals] = await query<Totals>(`SELECT ${sums.join(', ')},
         (SELECT CAST(COALESCE(SUM(revenue), 0) AS CHAR) FROM order_revenue) AS currency_revenue FROM order_totals`)
    return [rows, totals as Totals]
  })
  return { rows, totals, documents: await readDocuments(access), deadLetters: await readDeadLetters(access) }
}

async function readDocuments(access: StoreAccess): Promise<StoredDocument[]> {
  const found = await inPartitions(access, async (client, keyOf) => {
    const prefix = keyOf('doc:')
    const documents = new Map<string, StoredDocument>()
    let cursor = '0'
    do {
      const [next, keys] = await client.scan(cursor, 'MATCH', `${prefix}*`, 'COUNT', 1000)
      const pipeline = client.pipeline()
      for (const key of keys) pipeline.get(key).pttl(key)
      const replies = ((await pipeline.exec()) ?? []).map(([, value]) => value)
      for (const [index, key] of keys.entries()) {
        const [text, ttl] = replies.slice(2 * index, 2 * index + 2)
        // The key may have expired since the scan. The scan may return a key twice, and the map keeps it once.
        if (typeof text === 'string')
          documents.set(key, { id: key.slice(prefix.length), text, ttl: Number(ttl) })
      }
      cursor = next
    } while (cursor !== '0')
    return [...documents.values()]
  })
  return found.flat()
}

async function readDeadLetters(access: StoreAccess): Promise<DeadLetter[]> {
  const found = await inPartitions(access, async (client, keyOf) => {
    const letters: DeadLetter[] = []
    for (let from = '-'; ; ) {
      const entries = await client.xrange(keyOf('dead:process-orders'), from, '+', 'COUNT', PAGE)
      for (const [, fields] of entries) letters.push(toDeadLetter(fields))
      if (entries.length < PAGE) return letters
      from = `(${entries.at(-1)?.[0]}`
    }
  })
  return found.flat()
}

function toDeadLetter(fields: string[]): DeadLetter {
  const field = (name: string) => {
    const at = fields.findIndex((text, index) => index % 2 === 0 && text === name)
    return at < 0 ? '' : (fields[at + 1] as string)
  }
  let message: { order_id?: unknown; tenant?: unknown; amount?: unknown } = {}
  try {
    message = JSON.parse(field('data'))
  } catch {
    // The message may be a dead letter because it is not JSON.
  }
  return {
    code: field('code'),
    id: identityOf({ order_id: String(message.order_id ?? ''), tenant: message.tenant }),
    amount: String(message.amount ?? ''),
    fields: fields.join(' ')
  }
}
