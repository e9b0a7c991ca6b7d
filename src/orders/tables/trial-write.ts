import { randomInt, randomUUID } from 'node:crypto'
import type { Transaction } from '../../stores/mysql/transaction.ts'

/**
 * Trial write: finds out whether MySQL accepts the writes of an order. It inserts and updates a row in each table that
 * an order needs, and rolls back, so that no other session can read the rows. Then it inserts and deletes a row of the
 * outbox, because only a commit with a change waits when the disk of the log is full. When a backup locks all tables,
 * the statements wait.
 * @throws {Contention} when another session holds a lock on a row for longer than a second; that is not an outage.
 */
export async function trialWrite({ run }: Transaction): Promise<void> {
  // The id of an order cannot begin with `~`, and no slot of the totals is below 0.
  const id = `~${randomUUID()}`
  const slot = -randomInt(1, 32_768)
  await run('SET SESSION innodb_lock_wait_timeout = 1', [])
  await run('SAVEPOINT trial', [])
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
  await run('ROLLBACK TO SAVEPOINT trial', [])
  const { insertId } = await run('INSERT INTO outbox (order_id) VALUES (?)', [id])
  await run('DELETE FROM outbox WHERE id = ?', [insertId])
}
