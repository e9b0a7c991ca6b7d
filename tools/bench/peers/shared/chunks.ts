import { randomUUID } from 'node:crypto'
import type { NewOrder } from '../../../../schema/http/order.ts'

/**
 * Hands out as many new orders as the program's argument says, in chunks of `size`, and prints one line of JSON: how
 * many, and in how many seconds. Making the orders counts too.
 */
export async function inChunks(size: number, work: (orders: NewOrder[]) => Promise<void>): Promise<void> {
  const count = Number(process.argv[2])
  if (!Number.isInteger(count) || count < 1) throw new Error('The argument says how many orders: 1 or more')
  const run = randomUUID().slice(0, 8)
  const began = performance.now()
  for (let from = 0; from < count; from += size) {
    const length = Math.min(size, count - from)
    await work(Array.from({ length }, (_, index) => newOrder(run, from + index)))
  }
  console.log(JSON.stringify({ count, seconds: (performance.now() - began) / 1000 }))
}

/** An id begins with eight random digits, so that it falls anywhere in an index, as the ids of real clients do. */
function newOrder(run: string, number: number): NewOrder {
  return {
    order_id: `${randomUUID().slice(0, 8)}-${run}-${number}`,
    amount: ((number % 999_999) + 1) / 100
  }
}
