import type { Transaction } from '../stores/transaction.ts'

/** Writes to each table that an order goes through. They meet no row, and so wait for none that another transaction holds. */
const IN_VAIN = [
  "UPDATE orders SET status = status WHERE order_id = ''",
  'UPDATE order_totals SET slot = slot WHERE slot = -1',
  "UPDATE accepted_ended SET kind = kind WHERE epoch = ''"
]

/**
 * Writes what leaves nothing behind, to find out whether orders can be written now. A lock on a table, or on all of them
 * as a backup takes it, holds up a statement though it meets no row; a log that has no room on its disk holds up only the
 * commit of something that was changed.
 */
export async function writeInVain({ run }: Transaction): Promise<void> {
  for (const statement of IN_VAIN) await run(statement, [])
  const { insertId } = await run("INSERT INTO outbox (order_id) VALUES ('')", [])
  await run('DELETE FROM outbox WHERE id = ?', [insertId])
}
