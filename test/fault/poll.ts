import { setTimeout as delay } from 'node:timers/promises'
import type { Answer } from './load.ts'

/** Reads of accepted orders that run until `stop`. */
export interface Poll {
  /** The wrong answers: an accepted order was not found, or was no longer completed. */
  wrong: string[]
  reads: () => number
  stop: () => Promise<void>
}

/** Reads the latest accepted orders repeatedly. Each must be found, and a completed one must stay completed. */
export function startPoll(url: string, answers: Answer[], latest = 50): Poll {
  const stopping = new AbortController()
  const completed = new Set<string>()
  const wrong: string[] = []
  let reads = 0

  const readOne = async (id: string) => {
    const response = await fetch(`${url}/orders/${id}`).catch(() => undefined)
    if (!response) return
    const { status } = (await response.json()) as { status: string | number }
    reads++
    if (response.status === 404) wrong.push(`${id} is not found`)
    if (status === 'processing' && completed.has(id)) wrong.push(`${id} was completed and is processing`)
    if (status === 'completed') completed.add(id)
  }
  const polling = (async () => {
    for (let turn = 0; !stopping.signal.aborted; turn++) {
      const accepted = answers.slice(-latest).filter(({ status }) => status === 202)
      const { id } = accepted[turn % accepted.length] ?? {}
      if (id !== undefined) await readOne(id)
      await delay(10, undefined, { signal: stopping.signal }).catch(() => {})
    }
  })()

  return {
    wrong,
    reads: () => reads,
    stop: async () => {
      stopping.abort()
      await polling
    }
  }
}
