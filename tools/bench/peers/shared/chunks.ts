import { randomUUID } from 'node:crypto'
import type { NewOrder } from '../../../../schema/http/order.ts'

/**
 * Calls `work` with new orders in chunks of `size`. The argument of the program is the number of orders. Prints one
 * line of JSON with this number and the seconds. The seconds include the creation of the orders.
 */
export async function inChunks(size: number, work: (orders: NewOrder[]) => Promise<void>): Promise<void> {
  const count = Number(process.argv[2])
  if (!Number.isInteger(count) || count < 1)
    throw new Error('The argument must be the number of orders: 1 or more')
  const run = randomUUID().slice(0, 8)
  const began = performance.now()
  for (let from = 0; from < count; from += size) {
    const length = Math.min(size, count - from)
    await work(Array.from({ length }, (_, index) => newOrder(run, from + index)))
  }
  console.log(JSON.stringify({ count, seconds: (performance.now() - began) / 1000 }))
}

/**
 * Creates an order. Its id begins with eight random digits, so that it has a random place in an index, like real ids.
 */
function newOrder(run: string, number: number): NewOrder {
  return {
    order_id: `${randomUUID().slice(0, 8)}-${run}-${number}`,
    amount: ((number % 999_999) + 1) / 100
  }
}
