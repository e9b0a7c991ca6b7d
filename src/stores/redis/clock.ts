import type { Redis } from 'ioredis'

/**
 * An estimate of the server's clock that is never later than the real time of the server. A reply with the time t needs
 * some time to arrive, so the server's clock then shows t or more. From then on, the local monotonic clock is added. A
 * deadline from this clock is never later than intended.
 */
export interface RedisClock {
  /** Records the server time of a reply that has just arrived (ms since 1970). */
  saw: (serverTime: number) => void
  /** Returns the estimate of the server's time (ms since 1970); undefined without a recent reply. */
  now: () => number | undefined
  /** Drops the last reading. */
  forget: () => void
}

/** The time for which a reading is valid. In this time, two clocks differ by a few milliseconds at most. */
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
    },
    forget: () => {
      reading = undefined
    }
  }
}

/** Reads the time of a server (ms since 1970). */
export async function readTime(client: Redis): Promise<number> {
  const [seconds, microseconds] = await client.time()
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)
}
