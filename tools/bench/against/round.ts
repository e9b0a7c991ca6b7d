import { join } from 'node:path'
import { withRunning } from '../bench.ts'
import type { ContestantOptions, Running } from '../contestants.ts'
import { untilDepth } from '../drain.ts'
import { fillOrders, type LoadOptions, postOrders, readPaths } from '../load/wrk.ts'
import { emptyStores } from './empty.ts'
import type { Side, SideName } from './side.ts'

/** The phases of a comparison, in their order. */
export const comparedPhases = ['accept', 'read', 'drain'] as const
/** A phase of a comparison. */
export type ComparedPhase = (typeof comparedPhases)[number]

/** The rates of each side in one round, in orders or reads a second. */
export type RoundRates = Record<SideName, Partial<Record<ComparedPhase, number>>>

const CONNECTIONS = 64

/** The length of one measured turn of a load, and of the load before the first turn, in seconds. */
const TURN = 1
const WARM_UP = 2

/**
 * The number of times that the order A B B A repeats. In this order, a machine that becomes faster or slower affects
 * both sides equally.
 */
const PAIRS_OF_TURNS = 2

/** The pause between two checks of a drain (ms). A shorter pause would slow down the api. */
const WATCH = { between: 25, within: 120_000 }

/** One side of a running round. */
interface Runner {
  side: Side
  api: Running
  /** How orders are sent to the api. */
  sending: Pick<LoadOptions, 'key' | 'items'>
  /** The file with the paths that the reads use. */
  paths: string
  rates: RoundRates[SideName]
}

/**
 * Runs one round. Both sides get empty stores and new processes, and take turns within each phase. The first side
 * begins. The processes are new, because even two starts of the same program have different speeds.
 */
export async function runRound(
  sides: readonly Side[],
  phases: readonly ComparedPhase[],
  options: ContestantOptions
): Promise<RoundRates> {
  const { signal, stores, dir } = options
  await emptyStores(
    stores,
    sides.map(({ database }) => database),
    signal
  )
  const rates: RoundRates = { this: {}, other: {} }
  await withRunning(
    sides.map(side => side.start('api')),
    async apis => {
      const runners = await Promise.all(
        sides.map(async (side, index) => ({
          side,
          api: apis[index] as Running,
          sending: await side.sending(apis[index] as Running, signal),
          paths: join(dir, `paths-${side.name}-${Date.now()}`),
          rates: rates[side.name]
        }))
      )
      for (const runner of runners) await fill(runner, Number.MAX_SAFE_INTEGER, WARM_UP, signal)
      const load = (runner: Runner, seconds: number) => ({
        url: runner.api.url,
        seconds,
        connections: CONNECTIONS,
        ...runner.sending,
        signal
      })
      if (phases.includes('accept'))
        await inTurns(runners, 'accept', runner => postOrders(load(runner, TURN)))
      if (phases.includes('drain') || phases.includes('read')) await drainBoth(runners, signal)
      if (phases.includes('read')) {
        for (const runner of runners) await readPaths(load(runner, WARM_UP), runner.paths)
        await inTurns(runners, 'read', runner => readPaths(load(runner, TURN), runner.paths))
      }
    }
  )
  return rates
}

/** Measures one phase in turns. The rate of a side is the mean of its turns. */
async function inTurns(
  runners: readonly Runner[],
  phase: ComparedPhase,
  measure: (runner: Runner) => Promise<{ rate: number }>
): Promise<void> {
  const turns = Array.from({ length: PAIRS_OF_TURNS }, () => [...runners, ...runners.toReversed()]).flat()
  for (const runner of turns) {
    const { rate } = await measure(runner)
    runner.rates[phase] = (runner.rates[phase] ?? 0) + rate / (2 * PAIRS_OF_TURNS)
  }
}

/**
 * Lets both sides drain the same number of orders, in the order A B B A. Before that, adds orders to both sides until
 * they have the same number.
 */
async function drainBoth(runners: readonly Runner[], signal: AbortSignal): Promise<void> {
  const waiting = await Promise.all(runners.map(({ api }) => depthOf(api, signal)))
  const count = Math.ceil(Math.max(...waiting) * 1.02)
  for (const runner of runners) {
    for (;;) {
      const missing = count - (await depthOf(runner.api, signal))
      if (missing <= 0) break
      await fill(runner, missing, 1, signal)
    }
  }
  const seconds = new Map<Runner, number>()
  const drained = new Map<Runner, number>()
  const half = async (runner: Runner, rest: number) => {
    const part = await drain(runner, rest, signal)
    seconds.set(runner, (seconds.get(runner) ?? 0) + part.seconds)
    drained.set(runner, (drained.get(runner) ?? 0) + part.orders)
  }
  for (const runner of runners) await half(runner, Math.floor(count / 2))
  for (const runner of runners.toReversed()) await half(runner, 0)
  for (const runner of runners) {
    runner.rates.drain = (drained.get(runner) as number) / (seconds.get(runner) as number)
    await checkCompleted(runner, count, signal)
  }
}

/**
 * Lets one worker reduce the backlog to `rest`. Measures from the first completed order, without the start of the
 * worker.
 */
async function drain(
  { side, api }: Runner,
  rest: number,
  signal: AbortSignal
): Promise<{ orders: number; seconds: number }> {
  const backlog = { name: api.url, depth: () => depthOf(api, signal) }
  const full = await backlog.depth()
  return withRunning([side.start('worker')], async () => {
    const first = await untilDepth(backlog, depth => depth < full, { ...WATCH, signal })
    const began = performance.now()
    const last = await untilDepth(backlog, depth => depth <= rest, { ...WATCH, signal })
    return { orders: first - last, seconds: (performance.now() - began) / 1000 }
  })
}

/** @throws when orders are missing from the backlog but are not completed, because the rate would count lost orders */
async function checkCompleted({ side, api }: Runner, count: number, signal: AbortSignal): Promise<void> {
  const { completed_orders } = (await figuresOf(api, signal)).services.database.stats
  // There may be more completed orders, because a load ends before the last answers arrive.
  if (completed_orders < count)
    throw new Error(
      `${side.name}: of ${count} orders that no longer wait only ${completed_orders} are completed`
    )
}

async function fill(
  { api, paths, sending }: Runner,
  most: number,
  seconds: number,
  signal: AbortSignal
): Promise<void> {
  await fillOrders({ url: api.url, seconds, connections: CONNECTIONS, ...sending, signal }, most, paths)
}

async function depthOf(api: Running, signal: AbortSignal): Promise<number> {
  const { depth } = (await figuresOf(api, signal)).queue
  if (depth === null) throw new Error(`${api.url} does not know how many orders wait`)
  return depth
}

/**
 * The part of `GET /metrics` that shows the progress of a revision. Every revision has it, with any tables and keys.
 */
interface Figures {
  queue: { depth: number | null }
  services: { database: { stats: { completed_orders: number } } }
}

async function figuresOf({ url }: Running, signal: AbortSignal): Promise<Figures> {
  const answer = await fetch(`${url}/metrics`, {
    headers: { accept: 'application/json' },
    signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)])
  })
  if (answer.status !== 200) throw new Error(`GET ${url}/metrics was answered ${answer.status}`)
  return (await answer.json()) as Figures
}
