import { randomUUID } from 'node:crypto'
import { ORDER_PLACED_VERSIONS } from '../../schema/messages/order-placed.ts'
import type { Space } from '../harness/space.ts'
import { keyOf } from './evidence.ts'
import { AMOUNT } from './load.ts'

/** The most messages in one call to Redis. */
const CHUNK = 1000

/** Appends and counts a message for each order, as the accept script does, but writes no document. */
export async function appendOrders(space: Space, ids: string[], amount = String(AMOUNT)): Promise<void> {
  const accepted = keyOf(space, 'accepted')
  await space.redis.hsetnx(accepted, 'epoch', randomUUID())
  const epoch = (await space.redis.hget(accepted, 'epoch')) ?? ''
  const before = (await space.redis.hincrby(accepted, 'count', ids.length)) - ids.length
  const accepted_at = new Date().toISOString()
  for (let from = 0; from < ids.length; from += CHUNK) {
    const pipeline = space.redis.pipeline()
    for (const [index, order_id] of ids.slice(from, from + CHUNK).entries()) {
      const fields = {
        v: ORDER_PLACED_VERSIONS.plain,
        data: JSON.stringify({ order_id, amount, tax_rate: '0.18', accepted_at }),
        request_id: randomUUID(),
        ordinal: `${epoch}:${before + from + index + 1}`
      }
      pipeline.xadd(keyOf(space, 'placed'), '*', ...Object.entries(fields).flat())
    }
    for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error
  }
}

/** Returns `count` ids: `<prefix>-0`, `<prefix>-1` and so on. */
export function idsOf(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, n) => `${prefix}-${n}`)
}
