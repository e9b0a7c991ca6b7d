import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { StoreRefused, StoreUnavailable } from '../stores/errors.ts'
import { reasonOf } from '../stores/reason.ts'

/** Work that a process does again and again, beside requests and messages. */
export interface BackgroundTask {
  name: string
  /** Pause between two runs, in milliseconds. */
  every: number
  /** One run; true when there is more to do at once. */
  run: () => Promise<boolean>
}

export interface Background {
  start: () => void
  /** Why a store that answers refuses the task, if it does. */
  refusedBy: () => string | undefined
  /** Waits for the run that is under way. */
  stop: () => Promise<void>
}

/**
 * Runs a task until it is stopped. A store that is unavailable is no error: the next run will find it. Of one that answers
 * and refuses the task it logs once, and once when the task runs again.
 */
export function createBackground(task: BackgroundTask, log: FastifyBaseLogger): Background {
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
      if (error instanceof StoreRefused) {
        if (!refusedBy) log.warn({ err: error, task: task.name }, 'background task is refused by a store')
        refusedBy = reasonOf(error)
      }
      if (!(error instanceof StoreUnavailable))
        log.error({ err: error, task: task.name }, 'background task failed')
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
