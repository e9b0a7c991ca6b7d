import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { StoreUnavailable } from './stores/errors.ts'

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
  /** Waits for the run that is under way. */
  stop: () => Promise<void>
}

/** Runs a task until it is stopped. A store that is away is no error: the next run will find it. */
export function createBackground(task: BackgroundTask, log: FastifyBaseLogger): Background {
  const stopping = new AbortController()
  let loop: Promise<void> | undefined

  const runOnce = async () => {
    try {
      return await task.run()
    } catch (error) {
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
    start: () => {
      loop = run()
    },
    stop: async () => {
      stopping.abort()
      await loop
    }
  }
}
