import { randomUUID } from 'node:crypto'
import { addRounds, type Bench, compareRounds, inTurn, type Round, withRunning } from '../bench.ts'
import { type Contestant, orderstream, peerSystem, type Running } from '../contestants.ts'
import { type LoadOptions, postOrders } from '../load/wrk.ts'
import { withProcessorTime } from '../usage.ts'

const CONNECTIONS = 256
const WARM_UP = 2

/** The longest wait of a request (s). Much more than an order takes. */
const LONGEST = 10

/**
 * Measures POSTs that wait until their order is completed (`Prefer: wait`), with one worker. Each of 256 clients sends
 * its next order when it has the answer, so the rate is also that of completed orders.
 */
export async function wait(bench: Bench): Promise<void> {
  const { plan, signal } = bench
  if (!plan.wait) return
  const { rounds, seconds } = plan.wait
  const systems = [
    await peerSystem(bench, 'bullmq'),
    await orderstream(bench, 'always'),
    await orderstream(bench, 'everysec')
  ]
  const found = await inTurn<string, Round>(
    bench,
    'wait',
    rounds,
    Object.fromEntries(systems.map(system => [system.name, () => measure(system, seconds, signal)]))
  )
  addRounds(bench, 'wait', 'orders/s', found)
  for (const name of ['orderstream (always)', 'orderstream (everysec)'])
    compareRounds(bench, 'wait', found, [name, 'bullmq'], 'waitBullmq')
  for (const { place } of systems) await place.reset()
}

/** Runs one round with new processes, since the idle worker of another system would use the same cores. */
function measure(system: Contestant, seconds: number, signal: AbortSignal): Promise<Round> {
  return withRunning([system.startApi(), system.startWorker()], async running => {
    const [api, worker] = running as [Running, Running]
    const load: LoadOptions = { url: api.url, seconds, connections: CONNECTIONS, wait: LONGEST, signal }
    await checkWaits(api.url, signal)
    await postOrders({ ...load, seconds: WARM_UP })
    const { redisServer, mariadb } = system.place
    const { result, processor } = await withProcessorTime(
      { api: api.pid, worker: worker.pid, redis: redisServer.pid, mysql: mariadb.pid },
      ({ requests }) => requests,
      () => postOrders(load)
    )
    const { rate, p50_ms, p99_ms } = result
    return { rate, details: { p50_ms, p99_ms, ...processor } }
  })
}

/**
 * Posts one order that waits.
 * @throws when the answer is not the completed order, because the rate must count only these.
 */
async function checkWaits(url: string, signal: AbortSignal): Promise<void> {
  const answer = await fetch(`${url}/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: `wait=${LONGEST}` },
    body: JSON.stringify({ order_id: randomUUID(), amount: 1 }),
    signal
  })
  const text = await answer.text()
  if ((JSON.parse(text) as { status?: string }).status !== 'completed')
    throw new Error(`${url} answered ${answer.status} before the order was completed: ${text}`)
}
