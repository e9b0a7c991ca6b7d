import type { Forgotten } from '../../../schema/config/function.ts'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../keys.ts'
import { CALL_BYTES } from '../limits.ts'
import { EVENTS, LOGS, ORDER_FUNCTION } from '../names.ts'
import { noteEnded } from '../registry/function-states.ts'
import { type KnownFunction, readKnownFunctions } from '../registry/known-functions.ts'
import type { Starts } from '../registry/starts.ts'

const script = loadScript(new URL('forget.lua', import.meta.url))

/** The function is not gone; the message says what to do first. */
export class FunctionInUse extends Error {
  override name = 'FunctionInUse'
}

/** Most retries that one script call moves. */
const CHUNK = 500

/** What `forget` works on. */
export interface ForgetOptions {
  redis: RedisStore
  keys: Keys
  starts: Starts
  /** How long a consumer is silent that is not alive (ms). */
  lease: number
}

/**
 * Ends a function that no worker runs any more, in every partition: its retries become dead letters, which stay until they
 * are discarded, and its groups are destroyed, so that `events` is no longer kept for it. What waits in a queue stays for
 * the function that consumes it next. Returns what was ended; undefined when there was nothing.
 * @throws {FunctionInUse} while a consumer is alive, and for process-orders, whose retries are orders.
 */
export async function forgetFunction(options: ForgetOptions, name: string): Promise<Forgotten | undefined> {
  if (name === ORDER_FUNCTION)
    throw new FunctionInUse(`${ORDER_FUNCTION} belongs to the service, and its retries are orders.`)
  const partitions = [...Array(options.keys.partitions).keys()]
  const inEach = (what: 'look' | 'forget') =>
    Promise.all(partitions.map(partition => inPartition(options, partition, name, what)))
  // First in all of them, since one that is alive in the last must keep its place in the others.
  const found = await inEach('look')
  if (found.some(({ alive }) => alive > 0)) throw inUse(name, options.lease)
  // A function of that name that comes later is a new one. Removed first: a group without a record goes on where it is.
  const { removed, restore } = await removeRecords(
    options.starts,
    name,
    found.flatMap(({ known }) => known)
  )
  if (!removed && found.every(({ groups, retries }) => groups + retries === 0)) return undefined

  const ended = await inEach('forget')
  if (ended.some(({ alive }) => alive > 0)) {
    await restore()
    throw inUse(name, options.lease)
  }
  const sum = (figure: 'groups' | 'retries') => ended.reduce((total, own) => total + own[figure], 0)
  return { function: name, groups: sum('groups'), retries: sum('retries') }
}

/** Removes the records of where a function began. One that Redis does not know had the group of its name. */
async function removeRecords(starts: Starts, name: string, known: KnownFunction[]) {
  const groups = new Set(known.filter(({ stream }) => LOGS.includes(stream)).map(({ group }) => group))
  if (known.length === 0) groups.add(name)
  const removed: string[] = []
  for (const group of groups) if (await starts.forget(EVENTS, group)) removed.push(group)
  return {
    removed: removed.length > 0,
    restore: () => Promise.all(removed.map(group => starts.restore(EVENTS, group)))
  }
}

async function inPartition(
  { redis, keys, lease }: ForgetOptions,
  partition: number,
  name: string,
  what: 'look' | 'forget'
) {
  const known = (await redis.run(client => readKnownFunctions(client, keys, partition))).filter(
    known => known.name === name
  )
  const total = { alive: 0, groups: 0, retries: 0, known }
  // Whether a worker runs it cannot be told where it is not known: its retries may be taken any moment.
  if (known.length === 0) return total
  const used = [
    keys.retry(name, partition),
    keys.retrying(name, partition),
    keys.dead(name, partition),
    ...known.map(({ stream }) => keys.stream(stream, partition))
  ]
  const args = [what, lease, CHUNK, CALL_BYTES, ...known.map(({ group }) => group)]
  for (;;) {
    const reply = await redis.run(client => script(client, used, args))
    const [alive, groups, retries, left] = reply as [number, number, number, number]
    total.alive = alive
    total.groups += groups
    if (alive === 0 || what === 'look') total.retries += retries
    if (what === 'look' || alive > 0) return total
    if (left > 0) continue
    await noteEnded(redis, keys, partition, known)
    return total
  }
}

function inUse(name: string, lease: number): FunctionInUse {
  return new FunctionInUse(
    `A worker that runs ${name} was alive in the last ${lease} ms. Stop those that run it, then try again.`
  )
}
