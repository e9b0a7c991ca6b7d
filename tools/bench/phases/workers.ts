import { type Bench, inTurn } from '../bench.ts'
import { orderstream } from '../contestants.ts'
import { drain } from '../drain.ts'

/** Measures how fast different numbers of workers process the same backlog on this machine. */
export async function workers(bench: Bench): Promise<void> {
  const plan = bench.plan.workers
  if (!plan) return
  const service = await orderstream(bench, 'always')
  const found = await inTurn(
    bench,
    'workers',
    plan.rounds,
    Object.fromEntries(plan.counts.map(count => [String(count), () => drain(service, plan.orders, count)]))
  )
  for (const [count, results] of Object.entries(found)) {
    bench.add(
      'workers',
      `${count} ${count === '1' ? 'worker' : 'workers'}`,
      'orders/s',
      results.map(({ rate }) => rate)
    )
  }
  await service.place.reset()
}
