import type { Forgotten } from '../../schema/function.ts'
import type { RedisStore } from '../stores/redis.ts'
import { loadScript } from '../stores/script.ts'
import type { Keys } from './keys.ts'
import { readKnownFunctions } from './known-functions.ts'
import { ORDER_FUNCTION } from './streams.ts'

const script = loadScript(new URL('forget.lua', import.meta.url))

/** The function is not gone; the message says what to do first. */
export class FunctionInUse extends Error {
  override name = 'FunctionInUse'
}

/**
 * Ends a function that no worker runs any more, in every partition: its groups are destroyed, so that `events` is no
 * longer kept for it, and its retries are deleted, since nobody would ever take them. Its dead letters stay until they
 * are discarded, and what waits in a queue stays for the function that consumes it next.
 * `lease` is how long a consumer is silent that is not alive (ms). Gives what was ended; undefined when there was nothing.
 * @throws {FunctionInUse} while a consumer is alive, and for process-orders, whose retries are orders.
 */
export async function forgetFunction(
  redis: RedisStore,
  keys: Keys,
  name: string,
  lease: number
): Promise<Forgotten | undefined> {
  if (name === ORDER_FUNCTION)
    throw new FunctionInUse(`${ORDER_FUNCTION} belongs to the service, and its retries are orders.`)
  const partitions = [...Array(keys.partitions).keys()]
  const inEach = (what: 'look' | 'forget') =>
    Promise.all(partitions.map(partition => inPartition(redis, keys, partition, name, lease, what)))
  // First in all of them, since one that is alive in the last must keep its place in the others.
  const found = await inEach('look')
  if (found.some(({ alive }) => alive > 0)) throw inUse(name, lease)
  if (found.every(({ groups, retries }) => groups + retries === 0)) return undefined

  const ended = await inEach('forget')
  if (ended.some(({ alive }) => alive > 0)) throw inUse(name, lease)
  const sum = (figure: 'groups' | 'retries') => ended.reduce((total, own) => total + own[figure], 0)
  return { function: name, groups: sum('groups'), retries: sum('retries') }
}

async function inPartition(
  redis: RedisStore,
  keys: Keys,
  partition: number,
  name: string,
  lease: number,
  what: 'look' | 'forget'
) {
  return redis.run(async client => {
    const known = await readKnownFunctions(client, keys, partition)
    const own = known.filter(known => known.name === name)
    // Whether a worker runs it cannot be told where it is not known: its retries may be taken any moment.
    if (own.length === 0) return { alive: 0, groups: 0, retries: 0 }
    const streams = own.map(({ stream }) => keys.stream(stream, partition))
    const [alive, groups, retries] = (await script(
      client,
      [keys.retry(name, partition), keys.retrying(name, partition), ...streams],
      [what, lease, ...own.map(({ group }) => group)]
    )) as [number, number, number]
    return { alive, groups, retries }
  })
}

function inUse(name: string, lease: number): FunctionInUse {
  return new FunctionInUse(
    `A worker that runs ${name} was alive in the last ${lease} ms. Stop those that run it, then try again.`
  )
}
