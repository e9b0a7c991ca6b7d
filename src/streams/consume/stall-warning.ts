import type { FastifyBaseLogger } from 'fastify'

/** Least time between two log lines (ms). */
const MINUTE = 60_000

/**
 * Creates what is called with each renewal of leases, which is due every `every` ms. It logs a renewal that comes late by
 * more than half a lease (ms): the event loop stood still, and no lease was renewed meanwhile.
 */
export function createStallWarning(
  log: FastifyBaseLogger,
  every: number,
  lease: () => number
): (holds: boolean) => void {
  let last = performance.now()
  let loggedAt = Number.NEGATIVE_INFINITY
  return holds => {
    const now = performance.now()
    const late = now - last - every
    last = now
    if (!holds || late < lease() / 2 || now - loggedAt < MINUTE) return
    loggedAt = now
    log.warn(
      { stall_ms: Math.round(late), lease_ms: lease() },
      'the event loop stood still, so leases were not renewed and messages may be delivered again'
    )
  }
}
