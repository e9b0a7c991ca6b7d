import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { withRunning } from '../bench.ts'
import type { ContestantOptions, Running } from '../contestants.ts'
import { fillOrders, postOrders, readPaths } from '../load/wrk.ts'
import { emptyStores } from './empty.ts'
import type { Side, SideName } from './side.ts'

/** What is compared, in this order. */
export const comparedPhases = ['accept', 'read', 'drain'] as const
export type ComparedPhase = (typeof comparedPhases)[number]

/** What each side did in one round: a rate for each phase, in orders or reads a second. */
export type RoundRates = Record<SideName, Partial<Record<ComparedPhase, number>>>

const CONNECTIONS = 64

/** Seconds of one turn of a load that is measured, and of the load that goes before the first. */
const TURN = 1
const WARM_UP = 2

/**
 * How often each side takes a turn in both of its places: A B B A, and so on. A machine that becomes faster or slower
 * meanwhile then favours neither side.
 */
const PAIRS_OF_TURNS = 2

/** A drain is looked at this often, by the api's figures (ms); those cost it some, so no more often. */
const LOOK = 25
const DRAINED_WITHIN = 120_000

/** One side of a round that has begun. */
interface Runner {
  side: Side
  api: Running
  /** The file of the paths that can be read. */
  paths: string
  rates: RoundRates[SideName]
}

/**
 * One round: both sides get empty stores and processes of their own, and do each phase in turns, of which the first is
 * that of the first side. New processes each time, since two starts of the same program differ, too.
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
      const runners = sides.map((side, index) => ({
        side,
        api: apis[index] as Running,
        paths: join(dir, `paths-${side.name}-${Date.now()}`),
        rates: rates[side.name]
      }))
      for (const runner of runners) await fill(runner, Number.MAX_SAFE_INTEGER, WARM_UP, signal)
      const load = (runner: Runner, seconds: number) => ({
        url: runner.api.url,
        seconds,
        connections: CONNECTIONS,
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

/** Measures one phase in turns; a side's rate is the mean of its turns. */
async function inTurns(
  runners: readonly Runner[],
  phase: ComparedPhase,
  measure: (runner: Runner) => Promise<{ rate: number }>
): Promise<void> {
  const there = Array.from({ length: PAIRS_OF_TURNS }, () => [...runners, ...runners.toReversed()]).flat()
  for (const runner of there) {
    const { rate } = await measure(runner)
    runner.rates[phase] = (runner.rates[phase] ?? 0) + rate / (2 * PAIRS_OF_TURNS)
  }
}

/**
 * Both sides drain the same number of orders, half of them in each place of A B B A: the one that accepted fewer gets what
 * is missing first.
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
 * One worker lowers the backlog to `rest`. It counts from the first order that is done, so the worker's start is not in it.
 */
async function drain(
  { side, api }: Runner,
  rest: number,
  signal: AbortSignal
): Promise<{ orders: number; seconds: number }> {
  const full = await depthOf(api, signal)
  return withRunning([side.start('worker')], async () => {
    const first = await untilDepth(api, depth => depth < full, signal)
    const began = performance.now()
    const last = await untilDepth(api, depth => depth <= rest, signal)
    return { orders: first - last, seconds: (performance.now() - began) / 1000 }
  })
}

/** @throws when orders that no longer wait are not completed: the rate would be that of losing them */
async function checkCompleted({ side, api }: Runner, count: number, signal: AbortSignal): Promise<void> {
  const { completed_orders } = (await figuresOf(api, signal)).services.database.stats
  // Those that a load's end left without an answer may have been accepted, too.
  if (completed_orders < count)
    throw new Error(
      `${side.name}: of ${count} orders that no longer wait only ${completed_orders} are completed`
    )
}

async function fill(
  { api, paths }: Runner,
  most: number,
  seconds: number,
  signal: AbortSignal
): Promise<void> {
  await fillOrders({ url: api.url, seconds, connections: CONNECTIONS, signal }, most, paths)
}

async function untilDepth(
  api: Running,
  condition: (depth: number) => boolean,
  signal: AbortSignal
): Promise<number> {
  const deadline = performance.now() + DRAINED_WITHIN
  for (;;) {
    const depth = await depthOf(api, signal)
    if (condition(depth)) return depth
    if (performance.now() > deadline)
      throw new Error(`${depth} orders still wait after ${DRAINED_WITHIN / 1000} s`)
    await delay(LOOK, undefined, { signal })
  }
}

async function depthOf(api: Running, signal: AbortSignal): Promise<number> {
  const { depth } = (await figuresOf(api, signal)).queue
  if (depth === null) throw new Error(`${api.url} does not know how many orders wait`)
  return depth
}

/** The part of `GET /metrics` that tells how far a revision is, whatever its tables and keys are. */
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
