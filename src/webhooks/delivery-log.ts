import type {
  Delivery,
  DeliveryPage,
  DeliveryQuery,
  Redelivered,
  RedeliverRange
} from '../../schema/http/webhook.ts'
import type { MysqlStore } from '../stores/mysql/store.ts'
import { DeliveryNotFound, EndpointQueueFull } from './errors.ts'
import { insertDeliveries, type NewDelivery } from './new-deliveries.ts'
import { roomLeft } from './queue-cap.ts'
import { fromIso, toIso } from './times.ts'

/** The rows that one statement of a redelivery reads, and the most that one request reads. */
const PAGE = 1000
const MOST = 10_000

/**
 * The log of the deliveries of endpoints. A call throws {StoreUnavailable} while MySQL is unavailable. The caller has
 * checked that the endpoint belongs to its tenant. A call that would let more deliveries wait than may wait throws
 * {EndpointQueueFull}, because a new event would then drop others.
 */
export interface DeliveryLog {
  list: (endpoint: string, query: DeliveryQuery) => Promise<DeliveryPage>
  /** @throws {DeliveryNotFound} */
  read: (endpoint: string, id: string) => Promise<Delivery>
  /** Adds one delivery, and returns it. @throws {EndpointQueueFull} */
  add: (delivery: NewDelivery) => Promise<Delivery>
  /**
   * Lets a delivery wait again, at once and with new attempts.
   * @throws {DeliveryNotFound}
   * @throws {EndpointQueueFull}
   */
  redeliver: (endpoint: string, id: string) => Promise<Delivery>
  /**
   * Lets the deliveries of a range wait again. It reads at most 10,000 of them, the oldest first, and stops when the queue
   * is full.
   * @throws {EndpointQueueFull} when it was full at once.
   */
  redeliverRange: (endpoint: string, range: RedeliverRange) => Promise<Redelivered>
}

type Row = Omit<Delivery, 'webhook_id' | 'next_attempt_at'> & { message_id: string; due_at: string }

const SELECT = `SELECT id, message_id, type, occurred_at, status, due_at, attempts, last_attempt_at, response_code,
  duration_ms, error FROM webhook_deliveries`
const AGAIN = `UPDATE webhook_deliveries SET status = 'waiting', due_at = occurred_at, attempts = 0,
  first_attempt_at = NULL WHERE endpoint_id = ?`

/** Creates the access to the log of deliveries in MySQL. At most `cap` deliveries wait for an endpoint. */
export function createDeliveryLog(mysql: MysqlStore, cap: number): DeliveryLog {
  const read = async (endpoint: string, where: string, value: string) => {
    const [row] = await mysql.rows<Row>(`${SELECT} WHERE endpoint_id = ? AND ${where} = ?`, [endpoint, value])
    if (!row) throw new DeliveryNotFound(value)
    return toDelivery(row)
  }
  const checkRoom = async (endpoint: string) => {
    if ((await roomLeft(mysql, endpoint, cap)) <= 0) throw new EndpointQueueFull(cap)
  }
  return {
    list: async (endpoint, { status, limit, cursor }) => {
      // Each of the two orders has an index.
      const time = status ? 'due_at' : 'occurred_at'
      const after = cursor ? readCursor(cursor) : undefined
      const rows = await mysql.rows<Row>(
        `${SELECT} WHERE endpoint_id = ? ${status ? 'AND status = ?' : ''}
         ${after ? `AND ${time} <= ? AND (${time} < ? OR id < ?)` : ''} ORDER BY ${time} DESC, id DESC LIMIT ?`,
        [endpoint, ...(status ? [status] : []), ...(after ? [after.time, after.time, after.id] : []), limit]
      )
      const last = rows.length < limit ? undefined : rows.at(-1)
      return { deliveries: rows.map(toDelivery), next: last ? writeCursor(last[time], last.id) : null }
    },
    read: (endpoint, id) => read(endpoint, 'id', id),
    add: async delivery => {
      await checkRoom(delivery.endpoint_id)
      await insertDeliveries(mysql, [delivery])
      return read(delivery.endpoint_id, 'message_id', delivery.message_id)
    },
    redeliver: async (endpoint, id) => {
      const { status } = await read(endpoint, 'id', id)
      if (status !== 'waiting') await checkRoom(endpoint)
      const sql = `${AGAIN} AND id = ?`
      const { affectedRows } = await mysql.transaction(({ run }) => run(sql, [endpoint, id]), 'short')
      if (affectedRows === 0) throw new DeliveryNotFound(id)
      return read(endpoint, 'id', id)
    },
    redeliverRange: (endpoint, range) => redeliverRange(mysql, endpoint, range, cap)
  }
}

async function redeliverRange(
  mysql: MysqlStore,
  endpoint: string,
  { from, to, status = ['failed', 'dropped'], cursor }: RedeliverRange,
  cap: number
): Promise<Redelivered> {
  const room = await roomLeft(mysql, endpoint, cap)
  const until = fromIso(new Date(to).toISOString())
  let after = cursor ? readCursor(cursor) : { time: fromIso(new Date(from).toISOString()), id: '0' }
  let redelivered = 0
  for (let seen = 0; seen < MOST; seen += PAGE) {
    const rows = await mysql.rows<Pick<Row, 'id' | 'status' | 'occurred_at'>>(
      `SELECT id, status, occurred_at FROM webhook_deliveries
       WHERE endpoint_id = ? AND occurred_at >= ? AND occurred_at < ? AND (occurred_at > ? OR id > ?)
       ORDER BY occurred_at, id LIMIT ?`,
      [endpoint, after.time, until, after.time, after.id, PAGE]
    )
    const ids = rows.filter(row => (status as string[]).includes(row.status)).map(({ id }) => id)
    if (ids.length > 0 && redelivered + ids.length > room) {
      if (redelivered === 0) throw new EndpointQueueFull(cap)
      break
    }
    if (ids.length > 0) {
      const sql = `${AGAIN} AND id IN (?) AND status IN (?)`
      const { affectedRows } = await mysql.transaction(
        ({ run }) => run(sql, [endpoint, ids, status]),
        'short'
      )
      redelivered += affectedRows
    }
    const last = rows.at(-1)
    if (!last || rows.length < PAGE) return { redelivered, next: null }
    after = { time: last.occurred_at, id: last.id }
  }
  return { redelivered, next: writeCursor(after.time, after.id) }
}

/** A cursor has the time in milliseconds and the id of the last row. */
function writeCursor(datetime: string, id: string): string {
  return `${Date.parse(toIso(datetime))}-${id}`
}

function readCursor(cursor: string): { time: string; id: string } {
  const [time, id = ''] = cursor.split('-')
  // A later time than MySQL can store is after all rows.
  const date = new Date(Math.min(Number(time), Date.UTC(9999, 11, 1)))
  return { time: fromIso(date.toISOString()), id }
}

function toDelivery({ message_id, due_at, ...row }: Row): Delivery {
  return {
    ...row,
    id: String(row.id),
    webhook_id: message_id,
    occurred_at: toIso(row.occurred_at),
    last_attempt_at: toIso(row.last_attempt_at),
    next_attempt_at: row.status === 'waiting' ? toIso(due_at) : null
  }
}
