import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { Keys } from '../keys.ts'

/** What the names of all keys depend on, besides the number of partitions. */
export type Layout = Pick<Keys, 'prefix' | 'cluster'>

/**
 * The state of a layout: orders are accepted with it, an operator is releasing it, or it is released, and the next
 * process may use another one.
 */
export type LayoutState = 'used' | 'releasing' | 'released'

/** The record in MySQL. */
export interface LayoutRecord extends Layout {
  state: LayoutState
}

/**
 * Reads the layout of this database's orders. Records `own` as used when nothing is recorded yet.
 * @throws {StoreUnavailable} when MySQL is unavailable.
 */
export async function readLayout(mysql: MysqlStore, own: Layout): Promise<LayoutRecord> {
  const known = await findLayout(mysql)
  if (known) return known
  // Another process may record its layout at the same time. The first one wins.
  await mysql.transaction(({ run }) =>
    run(
      `INSERT IGNORE INTO redis_layout (id, key_prefix, cluster, state, changed_at)
       VALUES (1, ?, ?, 'used', UTC_TIMESTAMP(3))`,
      [own.prefix, Number(own.cluster)]
    )
  )
  return (await findLayout(mysql)) as LayoutRecord
}

async function findLayout(mysql: MysqlStore): Promise<LayoutRecord | undefined> {
  const [row] = await mysql.rows<{ prefix: string; cluster: number; state: LayoutState }>(
    'SELECT key_prefix AS prefix, cluster, state FROM redis_layout WHERE id = 1',
    []
  )
  return row && { prefix: row.prefix, cluster: Number(row.cluster) === 1, state: row.state }
}

/**
 * Sets the state of the own layout. Resolves to false when another layout is recorded, or another state than `from`.
 * @throws {StoreUnavailable} when MySQL is unavailable.
 */
export async function setLayoutState(
  mysql: MysqlStore,
  own: Layout,
  from: readonly LayoutState[],
  to: LayoutState
): Promise<boolean> {
  const { affectedRows } = await mysql.transaction(({ run }) =>
    run(
      `UPDATE redis_layout SET state = ?, changed_at = UTC_TIMESTAMP(3)
       WHERE id = 1 AND key_prefix = ? AND cluster = ? AND state IN (?)`,
      [to, own.prefix, Number(own.cluster), from]
    )
  )
  return affectedRows > 0
}

/**
 * Replaces a released layout by the own one. Resolves to false when another process was faster.
 * @throws {StoreUnavailable} when MySQL is unavailable.
 */
export async function takeOverLayout(mysql: MysqlStore, own: Layout): Promise<boolean> {
  const { affectedRows } = await mysql.transaction(({ run }) =>
    run(
      `UPDATE redis_layout SET key_prefix = ?, cluster = ?, state = 'used', changed_at = UTC_TIMESTAMP(3)
       WHERE id = 1 AND state = 'released'`,
      [own.prefix, Number(own.cluster)]
    )
  )
  return affectedRows > 0
}

/** Returns whether two layouts name the same keys. */
export function isSame(one: Layout, other: Layout): boolean {
  return one.prefix === other.prefix && one.cluster === other.cluster
}

/** Describes a layout by its settings. */
export function describeLayout({ prefix, cluster }: Layout): string {
  return `KEY_PREFIX=${prefix} and REDIS_CLUSTER=${cluster}`
}
