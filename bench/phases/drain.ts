import { type Bench, inTurn } from '../bench.ts'
import { limit, orderstream, peerSystem } from '../contestants.ts'
import { type Drained, drain } from '../drain.ts'

/** A backlog that waits is processed by one worker; the limit is a loop that writes the same rows and does nothing else. */
export async function drainBacklog(bench: Bench): Promise<void> {
  const { extent, plan } = bench
  const { rounds, orders, peerOrders } = plan.drain
  const raw = await limit(bench)
  const systems = [
    await peerSystem(bench, 'bullmq'),
    await orderstream(bench, 'everysec'),
    ...(extent === 'check' ? [] : [await orderstream(bench, 'always'), await peerSystem(bench, 'express')])
  ]
  const found = await inTurn<string, Drained>(bench, 'drain', rounds, {
    limit: async () => {
      await raw.place.reset()
      return { rate: await raw.insert(orders), details: {} }
    },
    ...Object.fromEntries(
      systems.map(system => [
        system.name,
        () => drain(system, system.name.startsWith('orderstream') ? orders : peerOrders)
      ])
    )
  })
  for (const [name, results] of Object.entries(found)) {
    bench.add(
      'drain',
      name,
      'orders/s',
      rates(results),
      results.map(({ details }) => details)
    )
  }
  const over = (name: string) => rates(found[name] ?? [])
  const mine = over('orderstream (everysec)')
  bench.compare('drain: orderstream (everysec) / limit', 'drainLimit', mine, over('limit'))
  if (extent !== 'check')
    bench.compare(
      'drain: orderstream (always) / limit',
      'drainLimit',
      over('orderstream (always)'),
      over('limit')
    )
  bench.compare('drain: orderstream (everysec) / bullmq', 'drainBullmq', mine, over('bullmq'))
  if (extent === 'full') {
    const appended = await inTurn(bench, 'append', rounds, { limit: () => raw.append(orders) })
    bench.add('append', 'limit', 'messages/s', appended.limit)
  }
  for (const { place } of [raw, ...systems]) {
    await place.reset()
    await place.close()
  }
}

function rates(results: Drained[]): number[] {
  return results.map(({ rate }) => rate)
}
