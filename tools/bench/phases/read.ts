import { join } from 'node:path'
import { addRounds, type Bench, compareRounds, inTurn, type Round, withRunning } from '../bench.ts'
import { limit, orderstream, type Running } from '../contestants.ts'
import { type Load, readPaths } from '../load/wrk.ts'
import { addRows, writePaths } from '../rows.ts'

const CONNECTIONS = 64
const WARM_UP = 2

/**
 * The numbers of orders to read from each place. `RECENT` orders fit into the memory of the api. `CACHED` documents in
 * Redis are several times as many as the api keeps. Each of the `UNCACHED` rows is read at most once in all rounds.
 */
const RECENT = 5000
const CACHED = 80_000
const UNCACHED = 400_000

/**
 * Measures reads of finished orders from the memory of the api, from documents in Redis and from rows in MySQL. The
 * limit is a constant answer without a store.
 */
export async function read(bench: Bench): Promise<void> {
  const { plan, signal, dir } = bench
  const bare = await limit(bench)
  const service = await orderstream(bench, 'always')
  const files = { recent: join(dir, 'recent'), cached: join(dir, 'cached'), uncached: join(dir, 'uncached') }
  await service.place.reset()
  await addRows(service.place, 0, CACHED + UNCACHED)
  await writePaths(files.recent, 0, RECENT, RECENT)
  await writePaths(files.cached, 0, CACHED, CACHED)
  // This leaves out the orders above, because the reads below put their documents into Redis.
  await writePaths(files.uncached, CACHED, CACHED + UNCACHED, UNCACHED)

  await withRunning([bare.startApi(), service.startApi()], async apis => {
    const [constant, api] = apis as [Running, Running]
    let next = 0
    const get = (url: string, file: string, seconds = plan.seconds, from = 0) =>
      readPaths({ url, seconds, connections: CONNECTIONS, signal }, file, from)
    const getUncached = async () => {
      const load = await get(api.url, files.uncached, plan.seconds, next)
      next += load.requests + CONNECTIONS
      if (next > UNCACHED) throw new Error(`${UNCACHED} uncached orders were not enough`)
      return load
    }
    await get(constant.url, files.cached, WARM_UP)
    // The first read of an order puts its document into Redis.
    for (let done = 0; done < CACHED; ) done += (await get(api.url, files.cached, WARM_UP, done)).requests

    const found = await inTurn<string, Load>(bench, 'read', plan.rounds, {
      constant: () => get(constant.url, files.cached),
      'orderstream (recent)': () => get(api.url, files.recent),
      'orderstream (cached)': () => get(api.url, files.cached),
      'orderstream (uncached)': getUncached
    })
    const rounds = Object.fromEntries(
      Object.entries(found).map(([name, loads]) => [name, loads.map(toRound)])
    )
    addRounds(bench, 'read', 'reads/s', rounds)
    for (const ours of ['orderstream (recent)', 'orderstream (cached)'])
      compareRounds(bench, 'read', rounds, [ours, 'constant'], 'read')
  })
  await service.place.reset()
}

function toRound({ rate, p50_ms, p99_ms }: Load): Round {
  return { rate, details: { p50_ms, p99_ms } }
}
