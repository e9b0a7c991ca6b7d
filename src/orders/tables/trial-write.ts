import { randomInt, randomUUID } from 'node:crypto'
import type { Transaction } from '../../stores/mysql/transaction.ts'

/**
 * Inserts into each table that an order needs and changes what it inserted, as orders are written; rolls that back, so that
 * no other session ever sees it. Then it commits a row of the outbox that it has deleted again: a log that has no room on
 * its disk holds up only the commit of something that was changed, and a lock on all tables, as a backup takes it, holds up
 * the statements. It waits a second for a row that somebody has locked, which is no outage, and fails with `Contention`.
 */
export async function writeInVain({ run }: Transaction): Promise<void> {
  // No order has such an id, nor a slot below 0.
  const id = `~${randomUUID()}`
  const slot = -randomInt(1, 32_768)
  await run('SET SESSION innodb_lock_wait_timeout = 1', [])
  await run('SAVEPOINT nothing', [])
  await run(
    "INSERT INTO orders (order_id, amount, status, created_at, updated_at) VALUES (?, 1, 'failed', '2000-01-01', '2000-01-01')",
    [id]
  )
  await run("UPDATE orders SET status = 'completed' WHERE order_id = ?", [id])
  await run('INSERT INTO order_totals (slot) VALUES (?)', [slot])
  await run('UPDATE order_totals SET completed = completed + 1 WHERE slot = ?', [slot])
  await run(
    "INSERT INTO accepted_ended (epoch, partition_no, kind, first_no, last_no) VALUES (?, 0, 'row', 1, 1)",
    [id.slice(1)]
  )
  await run('ROLLBACK TO SAVEPOINT nothing', [])
  const { insertId } = await run('INSERT INTO outbox (order_id) VALUES (?)', [id])
  await run('DELETE FROM outbox WHERE id = ?', [insertId])
}
