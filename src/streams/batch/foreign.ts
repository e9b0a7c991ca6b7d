import type { FastifyBaseLogger } from 'fastify'

/** How often the messages of one version are logged, at most (ms). */
const MINUTE = 60_000

/** Most versions that are named: a version comes from whoever sends the message. */
const MOST_VERSIONS = 20

/** Notes messages of a version that the function does not know. */
export type ForeignMessages = (version: string) => void

/**
 * Counts each one by `onForeign`, and logs one line for each version and minute, with how many there were since the last.
 */
export function createForeignMessages(
  log: FastifyBaseLogger,
  onForeign: (version: string) => void
): ForeignMessages {
  const seen = new Map<string, { loggedAt: number; messages: number }>()
  return given => {
    const version = seen.has(given) || seen.size < MOST_VERSIONS ? given.slice(0, 64) : 'other'
    const own = seen.get(version) ?? { loggedAt: Number.NEGATIVE_INFINITY, messages: 0 }
    seen.set(version, own)
    own.messages++
    onForeign(version)
    const now = performance.now()
    if (now - own.loggedAt < MINUTE) return
    log.warn({ version, messages: own.messages }, 'messages of another version are left to other workers')
    own.loggedAt = now
    own.messages = 0
  }
}
