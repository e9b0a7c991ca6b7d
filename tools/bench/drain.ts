import { setTimeout as delay } from 'node:timers/promises'
import { type Round, withRunning } from './bench.ts'
import type { Contestant } from './contestants.ts'
import { peakMemory, withProcessorTime } from './usage.ts'

/** The pause between two checks of a depth, and the longest time for a backlog (ms). */
const BETWEEN = 10
const WITHIN = 300_000

/**
 * Empties the stores of a contestant, creates a backlog and lets workers process it. The rate counts from the first
 * completed order to the last, so it does not include the start of a worker.
 */
export async function drain(contestant: Contestant, count: number, workers = 1): Promise<Round> {
  await contestant.place.reset()
  return drainMore(contestant, count, workers)
}

/** Does the same as `drain`, but does not empty the stores. */
export async function drainMore(contestant: Contestant, count: number, workers = 1): Promise<Round> {
  await contestant.fill(count)
  const starting = Array.from({ length: workers }, () => contestant.startWorker())
  return withRunning(starting, async running => {
    const { redisServer, mariadb } = contestant.place
    const pids = { redis: redisServer.pid, mysql: mariadb.pid }
    const workerPids = Object.fromEntries(running.map(({ pid }, index) => [`worker${index || ''}`, pid]))
    const before = await untilDepth(contestant, depth => depth < count)
    const began = performance.now()
    const { processor } = await withProcessorTime(
      { ...workerPids, ...pids },
      () => before,
      () => untilDepth(contestant, depth => depth === 0)
    )
    return {
      rate: before / ((performance.now() - began) / 1000),
      details: { ...processor, rss_worker_mb: Math.max(...running.map(({ pid }) => peakMemory(pid))) }
    }
  })
}

/** The interval and the length of the checks of a depth (ms). */
export interface Waiting {
  between?: number
  within?: number
  signal?: AbortSignal
}

/**
 * Waits until the depth of a backlog satisfies `condition`. Returns this depth.
 * @throws when the wait takes longer than `within`
 */
export async function untilDepth(
  { name, depth }: Pick<Contestant, 'name' | 'depth'>,
  condition: (depth: number) => boolean,
  { between = BETWEEN, within = WITHIN, signal }: Waiting = {}
): Promise<number> {
  const deadline = performance.now() + within
  for (;;) {
    const now = await depth()
    if (condition(now)) return now
    if (performance.now() > deadline)
      throw new Error(`${name}: ${now} orders still wait after ${within / 1000} s`)
    await delay(between, undefined, { signal })
  }
}
