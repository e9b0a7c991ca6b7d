import { type Bench, inTurn, withRunning } from '../bench.ts'
import { limit, orderstream, peerSystem, type Running } from '../contestants.ts'
import { type Load, postOrders } from '../load/wrk.ts'
import type { Place } from '../stores.ts'
import { peakMemory, withProcessorTime } from '../usage.ts'

const CONNECTIONS = 64
const WARM_UP = 2

interface Round {
  load: Load
  details: Record<string, number>
}

/** New orders as fast as they are accepted, at 64 connections, with nothing that processes them. */
export async function accept(bench: Bench): Promise<void> {
  const { extent, plan, signal } = bench
  const systems = [
    await limit(bench),
    await peerSystem(bench, 'bullmq'),
    await orderstream(bench, 'always'),
    ...(extent === 'check' ? [] : [await peerSystem(bench, 'express'), await orderstream(bench, 'everysec')])
  ].map(system => ({ name: 'limit', ...system }))

  const post = (url: string, seconds: number) =>
    postOrders({ url, seconds, connections: CONNECTIONS, signal })
  const measure = async (place: Place, api: Running): Promise<Round> => {
    const { result: load, processor } = await withProcessorTime(
      { api: api.pid, redis: place.redisServer.pid, mysql: place.mariadb.pid },
      ({ requests }) => requests,
      () => post(api.url, plan.seconds)
    )
    const { p50_ms, p99_ms } = load
    return { load, details: { p50_ms, p99_ms, ...processor, rss_api_mb: peakMemory(api.pid) } }
  }

  await withRunning(
    systems.map(system => system.startApi()),
    async apis => {
      for (const api of apis) await post(api.url, WARM_UP)
      const rounds = await inTurn(
        bench,
        'accept',
        plan.rounds,
        Object.fromEntries(
          systems.map(({ name, place }, index) => [name, () => measure(place, apis[index] as Running)])
        )
      )
      for (const [name, results] of Object.entries(rounds)) {
        bench.add(
          'accept',
          name,
          'orders/s',
          rates(results),
          results.map(({ details }) => details)
        )
      }
      const over = (name: string) => rates(rounds[name] ?? [])
      bench.compare(
        'accept: orderstream (always) / limit',
        'acceptLimitAlways',
        over('orderstream (always)'),
        over('limit')
      )
      if (extent === 'check') {
        bench.compare(
          'accept: orderstream (always) / bullmq',
          'acceptBullmq',
          over('orderstream (always)'),
          over('bullmq')
        )
        return
      }
      const mine = over('orderstream (everysec)')
      bench.compare('accept: orderstream (everysec) / limit', 'acceptLimitEverysec', mine, over('limit'))
      bench.compare('accept: orderstream (everysec) / bullmq', 'acceptBullmq', mine, over('bullmq'))
      bench.compare('accept: orderstream (everysec) / express', 'acceptExpress', mine, over('express'))
    }
  )
  for (const { place } of systems) await place.reset()
  await Promise.all(systems.map(({ place }) => place.close()))
}

function rates(rounds: Round[]): number[] {
  return rounds.map(({ load }) => load.rate)
}
