import { addRounds, type Bench, compareRounds, inTurn, type Round, withRunning } from '../bench.ts'
import { limit, orderstream, peerSystem, type Running } from '../contestants.ts'
import { postOrders } from '../load/wrk.ts'
import type { Place } from '../stores.ts'
import { peakMemory, withProcessorTime } from '../usage.ts'

const CONNECTIONS = 64
const WARM_UP = 2

/** Measures how fast new orders are accepted over 64 connections, without a worker. */
export async function accept(bench: Bench): Promise<void> {
  const { extent, plan, signal } = bench
  const systems = [
    await limit(bench),
    await peerSystem(bench, 'bullmq'),
    await orderstream(bench, 'always'),
    ...(extent === 'check' ? [] : [await peerSystem(bench, 'express'), await orderstream(bench, 'everysec')])
  ]
  const post = (url: string, seconds: number) =>
    postOrders({ url, seconds, connections: CONNECTIONS, signal })
  const measure = async (place: Place, api: Running): Promise<Round> => {
    const { result, processor } = await withProcessorTime(
      { api: api.pid, redis: place.redisServer.pid, mysql: place.mariadb.pid },
      ({ requests }) => requests,
      () => post(api.url, plan.seconds)
    )
    const { rate, p50_ms, p99_ms } = result
    return { rate, details: { p50_ms, p99_ms, ...processor, rss_api_mb: peakMemory(api.pid) } }
  }

  await withRunning(
    systems.map(system => system.startApi()),
    async apis => {
      for (const api of apis) await post(api.url, WARM_UP)
      const contestants = Object.fromEntries(
        systems.map(({ name, place }, index) => [name, () => measure(place, apis[index] as Running)])
      )
      const found = await inTurn(bench, 'accept', plan.rounds, contestants)
      addRounds(bench, 'accept', 'orders/s', found)
      const [synced, usual] = ['orderstream (always)', 'orderstream (everysec)']
      compareRounds(bench, 'accept', found, [synced, 'limit'], 'acceptLimitAlways')
      if (extent === 'check') {
        compareRounds(bench, 'accept', found, [synced, 'bullmq'], 'acceptBullmq')
        return
      }
      compareRounds(bench, 'accept', found, [usual, 'limit'], 'acceptLimitEverysec')
      compareRounds(bench, 'accept', found, [usual, 'bullmq'], 'acceptBullmq')
      compareRounds(bench, 'accept', found, [usual, 'express'])
    }
  )
  for (const { place } of systems) await place.reset()
}
