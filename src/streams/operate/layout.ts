import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { Keys } from '../keys.ts'
import { describeLayout, isSame, type LayoutRecord, readLayout, takeOverLayout } from './layout-record.ts'
import type { ClientOf } from './waiting.ts'

/** The keys in Redis that the settings name are not those of this database's orders. */
export class LayoutChanged extends Error {
  override name = 'LayoutChanged'
}

/** The command that releases the keys in Redis. */
const RELEASE = 'npm run admin -- redis release'

/** The mark that a release sets in place of the number of partitions. The number of released partitions follows it. */
const MARK = 'released:'

/**
 * Creates the check of KEY_PREFIX and REDIS_CLUSTER, which name the keys in Redis. Each probe of Redis runs it.
 *
 * MySQL records the settings in use. Other settings would name other keys, and no process would find the orders that
 * wait under the recorded ones. A process may therefore use other settings only after an operator has released the
 * recorded ones (see src/orders/audit/release.ts). A process that has used settings never takes them back after their
 * release, but a process that starts with them does.
 *
 * The check throws {LayoutChanged} when this process must not use these keys.
 */
export function createLayoutCheck(keys: Keys, mysql: MysqlStore): (clientOf: ClientOf) => Promise<void> {
  let agreed = false

  const take = async (clientOf: ClientOf, { state, ...known }: LayoutRecord, kept: string | null) => {
    if (state === 'released') {
      if (!(await takeOverLayout(mysql, keys))) throw elsewhere(keys, await readLayout(mysql, keys))
    } else if (!isSame(known, keys)) throw elsewhere(keys, known)
    else if (state === 'releasing') throw beingReleased(keys)
    if (kept?.startsWith(MARK)) await removeMarks(clientOf, keys, Number(kept.slice(MARK.length)))
  }

  return async clientOf => {
    // Redis is read before MySQL. A release marks MySQL first, so a mark in Redis without one in MySQL is outdated.
    const kept = await clientOf(keys.partitionCount()).get(keys.partitionCount())
    if (agreed) {
      if (kept?.startsWith(MARK)) throw released(keys)
      return
    }
    if (!mysql.availability.up) {
      // A number of partitions shows that these keys were in use.
      if (Number(kept) > 0) return
      throw unknown(keys)
    }
    await take(clientOf, await readLayout(mysql, keys), kept)
    agreed = true
  }
}

/**
 * Returns the number of partitions in use, also while the keys are being released or are released; 0 when Redis has
 * nothing under the keys.
 */
export async function readPartitionsInUse(clientOf: ClientOf, keys: Keys): Promise<number> {
  const kept = await clientOf(keys.partitionCount()).get(keys.partitionCount())
  return Number(kept?.replace(MARK, '') ?? 0)
}

/** Sets the mark of a release. A process that sees it does not use these keys any more. */
export async function setMark(clientOf: ClientOf, keys: Keys): Promise<void> {
  await clientOf(keys.partitionCount()).set(keys.partitionCount(), `${MARK}${keys.partitions}`)
}

/** Opens all partitions again, and removes the mark. The next probe of a process sets the number of partitions. */
export async function removeMarks(clientOf: ClientOf, keys: Keys, partitions: number): Promise<void> {
  await Promise.all(
    Array.from({ length: partitions }, (_, partition) => {
      const key = keys.accepted(partition)
      return clientOf(key).hdel(key, 'released')
    })
  )
  await clientOf(keys.partitionCount()).del(keys.partitionCount())
}

function elsewhere(keys: Keys, known: Pick<LayoutRecord, 'prefix' | 'spread'>): LayoutChanged {
  return new LayoutChanged(
    `the settings are ${describeLayout(keys)}, but the orders of this database are in Redis under ` +
      `${describeLayout(known)}. Start with these until nothing waits, and run \`${RELEASE}\`; then change them.`
  )
}

function beingReleased(keys: Keys): LayoutChanged {
  return new LayoutChanged(
    `the keys of ${describeLayout(keys)} are being released. If this does not end, run \`${RELEASE}\` again.`
  )
}

function released(keys: Keys): LayoutChanged {
  return new LayoutChanged(
    `the keys of ${describeLayout(keys)} are released. Start this process with the new settings, or again with the ` +
      'same ones to take the keys back.'
  )
}

function unknown(keys: Keys): LayoutChanged {
  return new LayoutChanged(
    `Redis has nothing under ${describeLayout(keys)} yet, and MySQL, which is unavailable, has the settings in use.`
  )
}
