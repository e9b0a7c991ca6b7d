import type { FastifyBaseLogger } from 'fastify'

/** Least time between two log lines of one version (ms). */
const MINUTE = 60_000

/**
 * The largest number of versions in metrics and logs, since senders can choose any version. Other versions appear as
 * `other`.
 */
const MOST_VERSIONS = 20

/** Reports a message of a version that the function does not support. */
export type ReportUnknownVersion = (version: string) => void

/**
 * Creates the report of unknown versions. It calls `onUnknownVersion` for each message. It logs at most one line per
 * version and minute, with the number of messages since the last line.
 */
export function createReportUnknownVersion(
  log: FastifyBaseLogger,
  onUnknownVersion: (version: string) => void
): ReportUnknownVersion {
  const seen = new Map<string, { loggedAt: number; messages: number }>()
  return given => {
    const version = seen.has(given) || seen.size < MOST_VERSIONS ? given.slice(0, 64) : 'other'
    const own = seen.get(version) ?? { loggedAt: Number.NEGATIVE_INFINITY, messages: 0 }
    seen.set(version, own)
    own.messages++
    onUnknownVersion(version)
    const now = performance.now()
    if (now - own.loggedAt < MINUTE) return
    log.warn({ version, messages: own.messages }, 'messages of another version are left to other workers')
    own.loggedAt = now
    own.messages = 0
  }
}
