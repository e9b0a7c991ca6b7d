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

/**
 * Inserts deliveries, in transactions of a limited size. A delivery that the endpoint has already is not changed, so a
 * repetition after a failure is safe.
 */
export async function insertDeliveries(mysql: MysqlStore, deliveries: readonly NewDelivery[]): Promise<void> {
  for (const slice of slicesOf(deliveries)) {
    const values = slice.map(({ endpoint_id, message_id, type, occurred_at, payload }) => {
      const time = fromIso(occurred_at)
      return [endpoint_id, message_id, type, time, 'waiting', time, payload]
    })
    await mysql.transaction(({ run }) =>
      run(
        `INSERT INTO webhook_deliveries (endpoint_id, message_id, type, occurred_at, status, due_at, payload)
         VALUES ? ON DUPLICATE KEY UPDATE webhook_deliveries.id = webhook_deliveries.id`,
        [values]
      )
    )
  }
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
