import type { Transaction } from '../../stores/mysql/transaction.ts'
import { type IdentityParts, identityOf } from '../identity.ts'
import { byIdentity } from './by-identity.ts'

/** Deletes the records of attempts at spilled orders. `orders` must not be empty. */
export async function deleteAttempts({ run }: Transaction, orders: IdentityParts[]): Promise<void> {
  const { sql, values } = byIdentity(orders.map(identityOf))
  await run(`DELETE FROM spill_attempts WHERE ${sql}`, values)
}
