/**
 * An estimate of the server's clock that is never ahead of it. A reply with the time t takes some time to arrive, so
 * the server's clock then reads t or more; from then on the local monotonic clock counts. A deadline that is computed
 * from this clock is never later than meant.
 */
export interface RedisClock {
  /** Records the server time of a reply that has just arrived (ms since 1970). */
  saw: (serverTime: number) => void
  /** Returns the estimate of the server's time (ms since 1970); undefined without a recent reply. */
  now: () => number | undefined
}

/** The time for which a reading is valid: two clocks drift apart by no more than milliseconds in this time. */
const READING_VALID = 60_000

/** Creates a clock without a reading. */
export function createRedisClock(): RedisClock {
  let reading: { server: number; local: number } | undefined
  return {
    saw: server => {
      reading = { server, local: performance.now() }
    },
    now: () => {
      if (!reading) return undefined
      const elapsed = performance.now() - reading.local
      return elapsed < READING_VALID ? Math.floor(reading.server + elapsed) : undefined
    }
  }
}
