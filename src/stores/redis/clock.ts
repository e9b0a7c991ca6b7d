/**
 * The server's clock, as a process can know it: never ahead of it. A reply that says "it is now t" was on its way for
 * some time, so the server's clock reads t or more when it arrives; from then on the local monotonic clock counts.
 * A deadline taken from here is therefore never later than meant.
 */
export interface RedisClock {
  /** Tells the clock the server time of a reply that has just arrived (ms since 1970). */
  saw: (serverTime: number) => void
  /** The server's time now, at the latest estimate; undefined before the first reply. */
  now: () => number | undefined
}

/** How long a reading is used: two oscillators drift apart by no more than milliseconds in this time. */
const READING_VALID = 60_000

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
