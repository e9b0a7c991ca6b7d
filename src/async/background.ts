import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'

/** Work that a process repeats beside requests and messages. */
export interface BackgroundTask {
  /** Names the task in the log and in health. */
  name: string
  /** Pause between two runs, in milliseconds. */
  every: number
  /** One run. Returns true when the next run should start at once. */
  run: () => Promise<boolean>
}

/** What an error of a run means. */
export interface TaskFailure {
  /** Whether the next run may succeed without a change. Such a failure is not logged. */
  passing: boolean
  /** The reason why an available store refuses the task; undefined when it does not. */
  refusal?: string | undefined
}

/** A task that can be started and stopped once. */
export interface Background {
  start: () => void
  /** Returns the reason why an available store refuses the task; undefined when it does not. */
  refusedBy: () => string | undefined
  /** Ends the task after the run in progress. */
  stop: () => Promise<void>
}

/**
 * Repeats a task until it is stopped, even if its runs fail. Logs the begin and the end of a refusal by a store.
 * `judge` returns what an error means.
 */
export function createBackground(
  task: BackgroundTask,
  log: FastifyBaseLogger,
  judge: (error: unknown) => TaskFailure
): Background {
  const stopping = new AbortController()
  let loop: Promise<void> | undefined
  let refusedBy: string | undefined

  const runOnce = async () => {
    try {
      const more = await task.run()
      if (refusedBy) log.info({ task: task.name }, 'background task runs again')
      refusedBy = undefined
      return more
    } catch (error) {
      const { passing, refusal } = judge(error)
      if (refusal && !refusedBy)
        log.warn({ err: error, task: task.name }, 'background task is refused by a store')
      refusedBy = refusal ?? refusedBy
      if (!passing) log.error({ err: error, task: task.name }, 'background task failed')
      return false
    }
  }

  const run = async () => {
    while (!stopping.signal.aborted) {
      const more = await runOnce()
      if (!more) await delay(task.every, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }

  return {
    refusedBy: () => refusedBy,
    start: () => {
      loop = run()
    },
    stop: async () => {
      stopping.abort()
      await loop
    }
  }
}
