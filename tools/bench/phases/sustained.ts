import { setTimeout as delay } from 'node:timers/promises'
import { type Bench, inTurn, withRunning } from '../bench.ts'
import { type Contestant, orderstream, peerSystem } from '../contestants.ts'
import { untilDepth } from '../drain.ts'
import { sampleLatency } from '../latency.ts'
import { postOrders } from '../load/wrk.ts'
import type { Series } from '../results.ts'

const CONNECTIONS = 256

/** The pause between two checks of the depth (ms). */
const BETWEEN = 250

/**
 * `KEPT_UP` is the share of the rate that must be accepted. `BACKLOG` is the largest backlog that counts as flat. A
 * larger backlog than `HOPELESS` ends a load, because no contestant recovers from it. Both are in seconds of the rate.
 */
const KEPT_UP = 0.97
const BACKLOG = 0.5
const HOPELESS = 2

/** The precision of the search, as a ratio of two rates. */
const PRECISION = 1.06

/**
 * The rate of a long load as a share of the rate before it. That is the rate of the short load or of a failed long
 * load.
 */
const HELD = 0.94

/** A running contestant with its api and worker. */
interface System {
  contestant: Contestant
  url: string
}

/**
 * Measures the largest fixed rate at which the backlog stays flat, and the time from the POST of an order until a GET
 * returns it as completed, at half of that rate.
 */
export async function sustained(bench: Bench): Promise<void> {
  const plan = bench.plan.sustained
  if (!plan) return
  const contestants = [await peerSystem(bench, 'bullmq'), await orderstream(bench, 'everysec')]
  const run = (contestant: Contestant, work: (system: System) => Promise<number[]>) =>
    withRunning([contestant.startApi(), contestant.startWorker()], ([api]) =>
      work({ contestant, url: api?.url ?? '' })
    )
  const found = await inTurn<string, number[]>(
    bench,
    'sustained',
    1,
    Object.fromEntries(
      contestants.map(contestant => [
        contestant.name,
        () =>
          run(contestant, async system => {
            const rate = await hold(bench, system, plan.hold, await search(bench, system, plan.probe))
            const latencies = await atHalf(bench, system, plan.half, rate)
            return [rate, ...latencies]
          })
      ])
    )
  )
  const figures = (name: string) => found[name]?.[0] as [rate: number, p50: number, p99: number]
  const [theirs, ours] = contestants.map(({ name }) => name) as [string, string]
  for (const name of [theirs, ours]) {
    const [rate, p50_ms, p99_ms] = figures(name)
    bench.add('sustained', name, 'orders/s', [rate])
    bench.add('end-to-end', name, 'ms', [p99_ms], [{ p50_ms, p99_ms }])
  }
  bench.compare(`sustained: ${ours} / ${theirs}`, 'sustainedBullmq', [figures(ours)[0]], [figures(theirs)[0]])
  for (const { place } of contestants) await place.reset()
}

/**
 * Searches the largest rate at which the backlog stays flat in a short load. Repeats a failed load once, because the
 * machine may have stopped for a moment.
 */
async function search(bench: Bench, system: System, seconds: number): Promise<number> {
  let [good, bad] = [0, Number.POSITIVE_INFINITY]
  let rate = startingRate(bench.series, system.contestant.name)
  while (good === 0 || bad / good > PRECISION) {
    const flat = (await isFlat(bench, system, rate, seconds)) || (await isFlat(bench, system, rate, seconds))
    if (flat) good = rate
    else bad = rate
    if (good === 0) rate = bad * 0.7
    else rate = bad === Number.POSITIVE_INFINITY ? good * 1.3 : Math.sqrt(good * bad)
    if (rate < 10) throw new Error(`${system.contestant.name} does not keep up with ten orders a second`)
  }
  return good
}

/**
 * Finds the largest rate at which the backlog stays flat in a long load. Starts a little below the rate of short loads.
 */
async function hold(bench: Bench, system: System, seconds: number, found: number): Promise<number> {
  for (let rate = found * HELD; ; rate *= HELD) {
    if (await isFlat(bench, system, rate, seconds)) return rate
  }
}

/** Measures the time from accept to completed at half the rate (p50 and p99 in ms). */
async function atHalf(
  bench: Bench,
  { url }: System,
  seconds: number,
  rate: number
): Promise<[number, number]> {
  const options = { url, seconds: seconds + 1, connections: CONNECTIONS, signal: bench.signal }
  const load = postOrders(options, rate / 2)
  // The load begins half a second before the samples and ends half a second after them.
  await delay(500)
  const latencies = await sampleLatency(url, seconds, bench.signal)
  await load
  return latencies
}

/** Returns whether the backlog stays flat at this rate. */
async function isFlat(bench: Bench, system: System, rate: number, seconds: number): Promise<boolean> {
  const { contestant, url } = system
  bench.say(`sustained: ${contestant.name} at ${Math.round(rate)} orders/s for ${seconds} s`)
  let running = true
  const hopeless = new AbortController()
  const signal = AbortSignal.any([bench.signal, hopeless.signal])
  const load = postOrders({ url, seconds, connections: CONNECTIONS, signal }, rate).finally(() => {
    running = false
  })
  const accepted = load.then(
    ({ rate }) => rate,
    error => {
      if (bench.signal.aborted || !hopeless.signal.aborted) throw error
      return 0
    }
  )
  const depths: number[] = []
  while (running) {
    await delay(BETWEEN)
    if (!running) break
    const depth = await contestant.depth()
    depths.push(depth)
    if (depth > rate * HOPELESS) hopeless.abort()
  }
  const keptUp = (await accepted) >= rate * KEPT_UP
  await untilDepth(contestant, depth => depth === 0)
  // A garbage collection may raise a single depth. A growing backlog raises all of the last depths.
  const last = Math.min(...depths.slice(-4))
  return keptUp && last <= rate * BACKLOG
}

/** Returns a rate below the rate of the accept alone and the rate of the drain alone. */
function startingRate(found: Series[], name: string): number {
  const median = (phase: string) =>
    found.find(series => series.phase === phase && series.contestant === name)?.median ?? 1000
  return 1 / (1 / median('accept') + 1 / median('drain'))
}
