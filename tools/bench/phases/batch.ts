import { addRounds, type Bench, compareRounds, inTurn, type Round, withRunning } from '../bench.ts'
import { type Contestant, limit, orderstream, peerSystem, type Running } from '../contestants.ts'
import { postBatches } from '../load/batches.ts'
import { postOrders } from '../load/wrk.ts'
import { withProcessorTime } from '../usage.ts'

const CONNECTIONS = 64
const WARM_UP = 20_000

/**
 * Measures how fast the orders of batches are accepted, beside single POSTs to the same process, and without a worker. The
 * limit is a loop of pipelined XADDs of equal messages.
 */
export async function batch(bench: Bench): Promise<void> {
  const { plan, signal } = bench
  if (!plan.batch) return
  const { orders, peerOrders } = plan.batch
  const raw = await limit(bench)
  const systems = [
    await peerSystem(bench, 'bullmq'),
    await orderstream(bench, 'always'),
    await orderstream(bench, 'everysec')
  ]
  const measure = async ({ place }: Contestant, api: Running, single: boolean): Promise<Round> => {
    const count = place.prefix.startsWith('peer') ? peerOrders : orders
    const { result, processor } = await withProcessorTime(
      { api: api.pid, redis: place.redisServer.pid, mysql: place.mariadb.pid },
      ({ accepted }: { rate: number; accepted: number }) => accepted,
      async () => {
        if (!single) return { ...(await postBatches(api.url, count, signal)), accepted: count }
        const { rate, requests } = await postOrders({
          url: api.url,
          seconds: plan.seconds,
          connections: CONNECTIONS,
          signal
        })
        return { rate, accepted: requests }
      }
    )
    return { rate: result.rate, details: processor }
  }

  await withRunning(
    systems.map(system => system.startApi()),
    async apis => {
      for (const api of apis) {
        await postOrders({ url: api.url, seconds: 2, connections: CONNECTIONS, signal })
        await postBatches(api.url, WARM_UP, signal)
      }
      const contestants = systems.flatMap((system, index) =>
        [true, false].map(
          single =>
            [
              single ? `${system.name}, single POSTs` : system.name,
              () => measure(system, apis[index] as Running, single)
            ] as const
        )
      )
      const found = await inTurn<string, Round>(bench, 'batch', plan.batch?.rounds ?? 0, {
        limit: async () => ({ rate: await raw.append(orders), details: {} }),
        ...Object.fromEntries(contestants)
      })
      addRounds(bench, 'batch', 'orders/s', found)
      for (const name of ['orderstream (always)', 'orderstream (everysec)'])
        compareRounds(bench, 'batch', found, [name, `${name}, single POSTs`], 'batchSingle')
      compareRounds(bench, 'batch', found, ['orderstream (everysec)', 'limit'])
      compareRounds(bench, 'batch', found, ['orderstream (everysec)', 'bullmq'], 'batchBullmq')
    }
  )
  for (const { place } of [raw, ...systems]) await place.reset()
}
