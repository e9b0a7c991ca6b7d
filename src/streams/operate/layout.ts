import type { MysqlStore } from '../../stores/mysql/store.ts'
import type { Keys } from '../keys.ts'
import { describeLayout, isSame, type LayoutRecord, readLayout, takeOverLayout } from './layout-record.ts'
import type { ClientOf } from './waiting.ts'

/** This process must not use the keys that its settings name. */
export class LayoutRefused extends Error {
  override name = 'LayoutRefused'
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
 * release, but a process that starts with them does, as long as no other settings are recorded.
 *
 * The check throws {LayoutRefused} when this process must not use these keys.
 */
export function createLayoutCheck(keys: Keys, mysql: MysqlStore): (clientOf: ClientOf) => Promise<void> {
  let agreed = false
  let tookOver = false
  let latest: LayoutRecord | undefined

  const useOrRefuse = async (clientOf: ClientOf, kept: string | null) => {
    let known = await readLayout(mysql, keys)
    if (known.state === 'released') {
      tookOver = await takeOverLayout(mysql, keys)
      // Another process may have been faster, with the same settings or with others.
      known = await readLayout(mysql, keys)
    }
    if (!isSame(known, keys)) throw elsewhere(keys, known)
    if (known.state === 'releasing') throw beingReleased(keys)
    if (!isMark(kept)) return
    // Only the process that took the keys over opens them. Any other one may see the keys of a Redis that is left.
    if (!tookOver) throw released(keys)
    await removeMarks(clientOf, keys, Number(kept.slice(MARK.length)))
  }

  /** Reads the record for the next call: this check must not wait for MySQL, nor fail with it. */
  const lookAgain = () => {
    if (!mysql.availability.up) return
    readLayout(mysql, keys).then(
      known => {
        latest = known
      },
      () => {}
    )
  }

  return async clientOf => {
    const kept = await clientOf(keys.partitionCount()).get(keys.partitionCount())
    if (agreed) {
      lookAgain()
      refuseMark(keys, kept)
      // A failover may have lost the mark.
      if (latest && !isSame(latest, keys)) throw elsewhere(keys, latest)
      if (latest?.state === 'released') throw released(keys)
      return
    }
    if (!mysql.availability.up) {
      // A number of partitions shows that these keys were in use.
      if (Number(kept) > 0) return
      throw unknown(keys)
    }
    await useOrRefuse(clientOf, kept)
    agreed = true
  }
}

/** Returns whether the value of the key `partitions` is the mark of a release. */
function isMark(kept: string | null): kept is string {
  return kept?.startsWith(MARK) === true
}

/** @throws {LayoutRefused} when the value of the key `partitions` is the mark of a release. */
export function refuseMark(keys: Keys, kept: string | null): void {
  if (isMark(kept)) throw released(keys)
}

/**
 * Returns the number of partitions in use, also while the keys are being released or are released; 0 when Redis has
 * nothing under the keys.
 */
export async function readPartitionCount(clientOf: ClientOf, keys: Keys): Promise<number> {
  const kept = await clientOf(keys.partitionCount()).get(keys.partitionCount())
  return Number(kept?.replace(MARK, '') ?? 0)
}

/** Sets the mark of a release. A process that sees it does not use these keys any more. */
export async function setMark(clientOf: ClientOf, keys: Keys): Promise<void> {
  await clientOf(keys.partitionCount()).set(keys.partitionCount(), `${MARK}${keys.partitions}`)
}

/** Returns whether Redis has the mark of a release. */
export async function hasMark(clientOf: ClientOf, keys: Keys): Promise<boolean> {
  return isMark(await clientOf(keys.partitionCount()).get(keys.partitionCount()))
}

/** Opens all partitions again, then replaces the mark by their number. */
export async function removeMarks(clientOf: ClientOf, keys: Keys, partitions: number): Promise<void> {
  await Promise.all(
    Array.from({ length: partitions }, (_, partition) => {
      const key = keys.accepted(partition)
      return clientOf(key).hdel(key, 'released')
    })
  )
  await clientOf(keys.partitionCount()).set(keys.partitionCount(), partitions)
}

function elsewhere(keys: Keys, known: Pick<LayoutRecord, 'prefix' | 'cluster'>): LayoutRefused {
  return new LayoutRefused(
    `the settings are ${describeLayout(keys)}, but the orders of this database are in Redis under ` +
      `${describeLayout(known)}. Start with these until nothing waits, and run \`${RELEASE}\`; then change them.`
  )
}

function beingReleased(keys: Keys): LayoutRefused {
  return new LayoutRefused(
    `the keys of ${describeLayout(keys)} are being released. If this does not end, run \`${RELEASE}\` again.`
  )
}

function released(keys: Keys): LayoutRefused {
  return new LayoutRefused(
    `an operator has released the keys of ${describeLayout(keys)}, or is releasing them. ` +
      `Start this process with the new settings. If it has them, run \`${RELEASE}\` again.`
  )
}

function unknown(keys: Keys): LayoutRefused {
  return new LayoutRefused(
    `MySQL is unavailable, so it is unknown whether ${describeLayout(keys)} are in use. ` +
      'This process uses Redis when MySQL is available and has these settings.'
  )
}
