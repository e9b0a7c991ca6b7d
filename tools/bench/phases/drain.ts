import { addRounds, type Bench, compareRounds, inTurn, type Round } from '../bench.ts'
import { limit, orderstream, peerSystem } from '../contestants.ts'
import { drain } from '../drain.ts'

/** Measures how fast one worker processes a backlog. The limit is a loop that only writes the same rows. */
export async function drainBacklog(bench: Bench): Promise<void> {
  const { extent, plan } = bench
  const { rounds, orders, peerOrders, appended } = plan.drain
  const raw = await limit(bench)
  const systems = [
    await peerSystem(bench, 'bullmq'),
    await orderstream(bench, 'everysec'),
    ...(extent === 'check' ? [] : [await orderstream(bench, 'always'), await peerSystem(bench, 'express')])
  ]
  const found = await inTurn<string, Round>(bench, 'drain', rounds, {
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
  addRounds(bench, 'drain', 'orders/s', found)
  const [synced, usual] = ['orderstream (always)', 'orderstream (everysec)']
  compareRounds(bench, 'drain', found, [usual, 'limit'], 'drainLimit')
  if (extent !== 'check') compareRounds(bench, 'drain', found, [synced, 'limit'], 'drainLimit')
  compareRounds(bench, 'drain', found, [usual, 'bullmq'], 'drainBullmq')
  if (appended) {
    const { limit: rates } = await inTurn(bench, 'append', rounds, { limit: () => raw.append(appended) })
    bench.add('append', 'limit', 'messages/s', rates)
  }
  for (const { place } of [raw, ...systems]) await place.reset()
}
