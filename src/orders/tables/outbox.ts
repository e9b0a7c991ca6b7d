import type { Transaction } from '../../stores/mysql/transaction.ts'
import type { IdentityParts } from '../identity.ts'

/** Adds final orders to the outbox. Call this in the transaction that finishes them. */
export async function addToOutbox({ run }: Transaction, orders: IdentityParts[]): Promise<void> {
  await run('INSERT INTO outbox (order_id, tenant) VALUES ?', [
    orders.map(({ order_id, tenant }) => [order_id, tenant])
  ])
}
