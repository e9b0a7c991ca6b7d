import type { FastifyBaseLogger } from 'fastify'

/** Least time between two log lines (ms). */
const MINUTE = 60_000

/**
 * Creates a callback to call at each renewal of leases. A renewal is due every `every` ms. The callback logs a renewal
 * that is late by more than half a lease: the event loop was blocked, and no lease was renewed. `holds` states whether
 * there are leases to renew.
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
