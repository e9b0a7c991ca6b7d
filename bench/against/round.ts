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

/** Seconds of one load that is measured, and of the one that goes before it. */
const MEASURED = 3
const WARM_UP = 2

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
 * One round: both sides get empty stores and processes of their own, and do each phase one right after the other, in
 * the order given. New processes each time, since two starts of the same program differ, too.
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
      if (phases.includes('accept')) for (const runner of runners) await accept(runner, signal)
      if (phases.includes('drain') || phases.includes('read')) await drainBoth(runners, signal)
      if (phases.includes('read')) for (const runner of runners) await read(runner, signal)
    }
  )
  return rates
}

async function accept({ api, rates }: Runner, signal: AbortSignal): Promise<void> {
  const load = await postOrders({ url: api.url, seconds: MEASURED, connections: CONNECTIONS, signal })
  rates.accept = load.rate
}

async function read({ api, rates, paths }: Runner, signal: AbortSignal): Promise<void> {
  const get = (seconds: number) =>
    readPaths({ url: api.url, seconds, connections: CONNECTIONS, signal }, paths)
  await get(WARM_UP)
  rates.read = (await get(MEASURED)).rate
}

/** Both sides drain the same number of orders: the one that accepted fewer gets what is missing first. */
async function drainBoth(runners: readonly Runner[], signal: AbortSignal): Promise<void> {
  const waiting = await Promise.all(runners.map(({ api }) => depthOf(api, signal)))
  const count = Math.ceil(Math.max(...waiting) * 1.02)
  for (const runner of runners) {
    for (;;) {
      const missing = count - (await depthOf(runner.api, signal))
      if (missing <= 0) break
      await fill(runner, missing, 1, signal)
    }
    await drain(runner, count, signal)
  }
}

/** One worker empties the backlog. The rate is from the first order that is done, so its start is not in it. */
async function drain({ side, api, rates }: Runner, count: number, signal: AbortSignal): Promise<void> {
  await withRunning([side.start('worker')], async () => {
    const before = await untilDepth(api, depth => depth < count, signal)
    const began = performance.now()
    await untilDepth(api, depth => depth === 0, signal)
    rates.drain = before / ((performance.now() - began) / 1000)
  })
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
