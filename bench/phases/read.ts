import { join } from 'node:path'
import { addRounds, type Bench, compareRounds, inTurn, type Round, withRunning } from '../bench.ts'
import { limit, orderstream, type Running } from '../contestants.ts'
import { type Load, readPaths } from '../load/wrk.ts'
import { addRows, writePaths } from '../rows.ts'

const CONNECTIONS = 64
const WARM_UP = 2

/** Orders that Redis has a document of, and rows that are read once each, in all rounds together. */
const CACHED = 10_000
const UNCACHED = 400_000

/** Finished orders as fast as they are read: documents from Redis, rows from MySQL, and a constant without any store. */
export async function read(bench: Bench): Promise<void> {
  const { plan, signal, dir } = bench
  const bare = await limit(bench)
  const service = await orderstream(bench, 'always')
  const files = { cached: join(dir, 'cached'), uncached: join(dir, 'uncached') }
  await service.place.reset()
  await addRows(service.place, 0, CACHED + UNCACHED)
  await writePaths(files.cached, CACHED, CACHED)
  await writePaths(files.uncached, CACHED + UNCACHED, UNCACHED)

  await withRunning([bare.startApi(), service.startApi()], async apis => {
    const [constant, api] = apis as [Running, Running]
    let next = 0
    const get = async (url: string, file: string, seconds = plan.seconds) =>
      readPaths({ url, seconds, connections: CONNECTIONS, signal }, file)
    const getUncached = async () => {
      const options = { url: api.url, seconds: plan.seconds, connections: CONNECTIONS, signal }
      const load = await readPaths(options, files.uncached, next)
      next += load.requests + CONNECTIONS
      if (next > UNCACHED) throw new Error(`${UNCACHED} uncached orders were not enough`)
      return load
    }
    // The first read of each puts its document into Redis.
    await get(constant.url, files.cached, WARM_UP)
    await get(api.url, files.cached, WARM_UP * 2)

    const found = await inTurn<string, Load>(bench, 'read', plan.rounds, {
      constant: () => get(constant.url, files.cached),
      'orderstream (cached)': () => get(api.url, files.cached),
      'orderstream (uncached)': getUncached
    })
    const rounds = Object.fromEntries(
      Object.entries(found).map(([name, loads]) => [name, loads.map(toRound)])
    )
    addRounds(bench, 'read', 'reads/s', rounds)
    compareRounds(bench, 'read', rounds, ['orderstream (cached)', 'constant'], 'read')
  })
  await service.place.reset()
}

function toRound({ rate, p50_ms, p99_ms }: Load): Round {
  return { rate, details: { p50_ms, p99_ms } }
}
