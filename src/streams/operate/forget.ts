import { StoreRefused } from '../../stores/errors.ts'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Starts } from '../group/starts.ts'
import type { Keys } from '../keys.ts'
import { CALL_BYTES } from '../limits.ts'
import { EVENTS, LOGS } from '../names.ts'
import { type KnownFunction, readKnownFunctions, toMember } from '../registry/known-functions.ts'
import type { Processes } from '../registry/processes.ts'

const script = loadScript(new URL('forget.lua', import.meta.url))

/** The function cannot be ended yet; the message states what to do first. */
export class FunctionInUse extends Error {
  override name = 'FunctionInUse'
}

/** Most retries that one script call moves. */
const CHUNK = 500

/** The dependencies of `forgetFunction`. */
export interface ForgetOptions {
  redis: RedisStore
  keys: Keys
  starts: Starts
  processes: Pick<Processes, 'exchange' | 'lease'>
  /** Functions that no operator can end. */
  serviceFunctions: readonly KnownFunction[]
}

/** The parts of a function that were removed. */
export interface ForgottenFunction {
  name: string
  /** Groups that were destroyed, one for each stream and partition. */
  groups: number
  /** Retries that became dead letters. */
  retries: number
}

/**
 * Ends a function that no worker runs any more, in every partition. Its retries become dead letters, which stay until
 * they are discarded. Its groups are destroyed, so events are no longer kept for it. Messages in a queue stay for the
 * next function that consumes the queue. Returns undefined when nothing of the function exists.
 * @throws {FunctionInUse} while a consumer of the function is alive, and for every function of the service.
 * @throws {StoreUnavailable} while a store is unavailable.
 */
export async function forgetFunction(
  options: ForgetOptions,
  name: string
): Promise<ForgottenFunction | undefined> {
  if (options.serviceFunctions.some(own => own.name === name))
    throw new FunctionInUse(`${name} belongs to the service, and its retries are needed.`)
  // Reads the newest records first: a worker that has just started may have a longer lease.
  await options.processes.exchange().catch(unlessRefused)
  const lease = options.processes.lease(name)
  const partitions = [...Array(options.keys.partitions).keys()]
  const inEach = (what: 'look' | 'forget') =>
    Promise.all(partitions.map(partition => inPartition(options, { partition, name, what, lease })))
  // Checks all partitions before the first change: a worker that is alive in one partition still needs the groups in
  // the others.
  const found = await inEach('look')
  if (found.some(({ alive }) => alive > 0)) throw inUse(name, lease)
  // Without the records, a later function of the same name starts as a new one. They are removed before the groups: if
  // this process is killed in between, the groups keep their positions.
  const { removed, restore } = await removeRecords(
    options.starts,
    name,
    found.flatMap(({ known }) => known)
  )
  if (!removed && found.every(({ groups, retries }) => groups + retries === 0)) return undefined

  const ended = await inEach('forget')
  if (ended.some(({ alive }) => alive > 0)) {
    await restore()
    throw inUse(name, lease)
  }
  const sum = (figure: 'groups' | 'retries') => ended.reduce((total, own) => total + own[figure], 0)
  return { name, groups: sum('groups'), retries: sum('retries') }
}

/**
 * Removes the records of a function's start positions. Without an entry of the function in Redis, its group is assumed
 * to have its name.
 */
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
  { redis, keys, serviceFunctions }: ForgetOptions,
  {
    partition,
    name,
    what,
    lease
  }: { partition: number; name: string; what: 'look' | 'forget'; lease: number }
) {
  const all = await redis
    .masterOf(partition)
    .run(client => readKnownFunctions(client, keys, partition, serviceFunctions))
  const known = all.filter(known => known.name === name)
  const total = { alive: 0, groups: 0, retries: 0, known }
  // Changes nothing where Redis has no entry of the function: a worker of an older version may run it there.
  if (known.length === 0) return total
  const used = [
    keys.retry(name, partition),
    keys.retrying(name, partition),
    keys.dead(name, partition),
    keys.alive(partition),
    ...known.map(({ stream }) => keys.stream(stream, partition))
  ]
  const args = [what, lease, CHUNK, CALL_BYTES, ...known.map(toMember)]
  for (;;) {
    const reply = await redis.masterOf(partition).run(client => script(client, used, args))
    const [alive, groups, retries, left] = reply as [number, number, number, number]
    total.alive = alive
    total.groups += groups
    if (alive === 0 || what === 'look') total.retries += retries
    if (what === 'look' || alive > 0 || left === 0) return total
  }
}

/** A function can be ended even when Redis refuses the records of processes. */
function unlessRefused(error: unknown): void {
  if (!(error instanceof StoreRefused)) throw error
}

function inUse(name: string, lease: number): FunctionInUse {
  return new FunctionInUse(
    `A worker that runs ${name} was alive in the last ${lease} ms. Stop those that run it, then try again.`
  )
}
