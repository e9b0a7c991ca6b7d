import { setTimeout as delay } from 'node:timers/promises'
import { type Round, withRunning } from './bench.ts'
import type { Contestant } from './contestants.ts'
import { peakMemory, withProcessorTime } from './usage.ts'

/** How often the depth is looked at (ms), and for how long it may stay above nothing. */
const LOOK = 10
const WITHIN = 300_000

/**
 * Empties the contestant's stores, has so many orders wait, and lets workers process them. The rate is from the first
 * order that is done to the last: how long a worker takes to start is not in it.
 */
export async function drain(contestant: Contestant, count: number, workers = 1): Promise<Round> {
  await contestant.place.reset()
  return drainMore(contestant, count, workers)
}

/** As `drain`, beside what is in the stores. */
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

/** Waits for a depth, and gives it. */
export async function untilDepth(
  { name, depth }: Contestant,
  condition: (depth: number) => boolean
): Promise<number> {
  const deadline = performance.now() + WITHIN
  for (;;) {
    const now = await depth()
    if (condition(now)) return now
    if (performance.now() > deadline)
      throw new Error(`${name}: ${now} orders still wait after ${WITHIN / 1000} s`)
    await delay(LOOK)
  }
}
