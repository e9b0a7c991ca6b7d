import { type Bench, inTurn, withRunning } from '../bench.ts'
import { orderstream } from '../contestants.ts'
import { postOrders } from '../load/wrk.ts'

const CONNECTIONS = 64
const WARM_UP = 2

/** Measures how a backlog affects the accept of orders. It compares two apis, each with its own Redis. */
export async function backlog(bench: Bench): Promise<void> {
  const plan = bench.plan.growth
  if (!plan) return
  const { signal } = bench
  const few = await orderstream(bench, 'everysec')
  const many = await orderstream(bench, 'spare')
  bench.say(`accept beside ${plan.waiting} orders that wait`)
  await many.fill(plan.waiting)
  const MAX_BACKLOG = String(plan.waiting * 2)
  await withRunning([few.startApi(), many.startApi({ MAX_BACKLOG })], async apis => {
    const [free, busy] = apis.map(({ url }) => url) as [string, string]
    const post = async (url: string, seconds: number) =>
      (await postOrders({ url, seconds, connections: CONNECTIONS, signal })).rate
    for (const url of [free, busy]) await post(url, WARM_UP)
    const label = `${plan.waiting.toLocaleString('en')} waiting`
    const found = await inTurn(bench, 'accept', bench.plan.rounds, {
      '0 waiting': () => post(free, plan.seconds),
      [label]: () => post(busy, plan.seconds)
    })
    for (const [name, rates] of Object.entries(found)) bench.add('growth-accept', name, 'orders/s', rates)
    bench.compare(`accept: ${label} / 0 waiting`, 'backlog', found[label] ?? [], found['0 waiting'] ?? [])
  })
  for (const { place } of [few, many]) await place.reset()
}
