import { DuplicateKey } from '../stores/errors.ts'
import type { MysqlStore } from '../stores/mysql/store.ts'
import { fromIso } from './times.ts'

/** A delivery to add to the queue and the log of an endpoint. */
export interface NewDelivery {
  endpoint_id: string
  /** The id of the event: the same for all endpoints and attempts. */
  message_id: string
  type: string
  /** ISO 8601 in UTC. */
  occurred_at: string
  payload: string
}

/** The most rows and the most characters of payload of one INSERT. A server may refuse more than 16 MiB. */
const MOST_ROWS = 500
const MOST_TEXT = 2_000_000

/** Renders the payload that Standard Webhooks recommends. `data` is JSON text. */
export function renderPayload(type: string, timestamp: string, data: string): string {
  return `{"type":"${type}","timestamp":"${timestamp}","data":${data}}`
}

/** How often a slice is inserted, because another worker may insert the same deliveries at the same time. */
const ATTEMPTS = 5

/**
 * Inserts deliveries, in transactions of a limited size. A delivery that the endpoint has already is not changed, so a
 * repetition after a failure is safe.
 */
export async function insertDeliveries(mysql: MysqlStore, deliveries: readonly NewDelivery[]): Promise<void> {
  // Some events come twice.
  const byKey = new Map(deliveries.map(each => [`${each.endpoint_id} ${each.message_id}`, each]))
  for (const slice of slicesOf([...byKey.values()])) await insertMissing(mysql, slice)
}

/**
 * Inserts the deliveries of a slice that their endpoints do not have. It does not use ON DUPLICATE KEY UPDATE id = id. If
 * another worker inserts one of these rows after the statement has reserved its ids, the server goes on with the ids
 * after that row. Other rows have these ids, so it takes the next deliveries for duplicates, and drops them silently.
 */
async function insertMissing(mysql: MysqlStore, slice: NewDelivery[]): Promise<void> {
  let missing = slice
  for (let attempt = 1; missing.length > 0; attempt++) {
    try {
      await insert(mysql, missing)
      return
    } catch (error) {
      if (!(error instanceof DuplicateKey) || attempt === ATTEMPTS) throw error
      missing = await withoutKnown(mysql, missing)
    }
  }
}

async function insert(mysql: MysqlStore, deliveries: NewDelivery[]): Promise<void> {
  const values = deliveries.map(({ endpoint_id, message_id, type, occurred_at, payload }) => {
    const time = fromIso(occurred_at)
    return [endpoint_id, message_id, type, time, 'waiting', time, payload]
  })
  await mysql.transaction(({ run }) =>
    run(
      'INSERT INTO webhook_deliveries (endpoint_id, message_id, type, occurred_at, status, due_at, payload) VALUES ?',
      [values]
    )
  )
}

/** Returns the deliveries that their endpoints do not have. */
async function withoutKnown(mysql: MysqlStore, deliveries: NewDelivery[]): Promise<NewDelivery[]> {
  const missing: NewDelivery[] = []
  for (const [endpoint, own] of Map.groupBy(deliveries, each => each.endpoint_id)) {
    const rows = await mysql.rows<{ message_id: string }>(
      'SELECT message_id FROM webhook_deliveries WHERE endpoint_id = ? AND message_id IN (?)',
      [endpoint, own.map(each => each.message_id)]
    )
    const known = new Set(rows.map(row => row.message_id))
    missing.push(...own.filter(each => !known.has(each.message_id)))
  }
  return missing
}

function slicesOf(deliveries: readonly NewDelivery[]): NewDelivery[][] {
  const slices: NewDelivery[][] = []
  let text = 0
  for (const delivery of deliveries) {
    const slice = slices.at(-1)
    text += delivery.payload.length
    if (slice && slice.length < MOST_ROWS && text <= MOST_TEXT) slice.push(delivery)
    else {
      slices.push([delivery])
      text = delivery.payload.length
    }
  }
  return slices
}
