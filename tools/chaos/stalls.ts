import { setTimeout as delay } from 'node:timers/promises'
import type { Span } from './outages.ts'
import { type StoreAccess, WATCHING, withMysql, withRedis } from './stores.ts'

/** A time in which a store kept a client waiting, or failed it; at most one pause between two looks longer. */
export interface Stall extends Span {
  target: 'redis' | 'mariadb'
}

/** What was noted so far; each stall is added when it is over. */
export interface StallWatch {
  stalls: Stall[]
  /** Watches until aborted. */
  run: (signal: AbortSignal) => Promise<void>
}

/** Time between an answer and the next look, ms. */
const BETWEEN = 100

/**
 * An answer that comes so much later than the pause after the last one allows is a stall, ms: half of what the service
 * waits for. A look that begins up to BETWEEN after a call of the service ends with it, so a store that is too slow for
 * the service is always seen; and so is a machine that stands still, which a store answers at once as it goes on.
 */
const LATE = 200

type Look = () => Promise<unknown>

/** Opens a connection, and gives `use` a write that only a disk can answer, as the service's own writes. */
type Watched = (access: StoreAccess, use: (look: Look) => Promise<void>) => Promise<void>

const redis: Watched = (access, use) =>
  withRedis(access, client => use(() => client.set('chaos-look', performance.now())), WATCHING)

const mariadb: Watched = (access, use) =>
  withMysql(
    access,
    async connection => {
      await connection.query('CREATE TABLE IF NOT EXISTS chaos_look (id INT PRIMARY KEY, at DOUBLE NOT NULL)')
      await use(() => connection.query('REPLACE INTO chaos_look VALUES (1, ?)', [performance.now()]))
    },
    WATCHING
  )

/**
 * Writes to both stores all along, and notes the times in which they did not answer: those that faults caused, and those
 * that nobody caused. A disk that others use too can hold up a store for longer than the service waits, and so can a
 * machine that stands still.
 */
export function createStallWatch(access: StoreAccess): StallWatch {
  const stalls: Stall[] = []

  const watch = async (target: Stall['target'], watched: Watched, signal: AbortSignal) => {
    let failingSince: number | undefined
    while (!signal.aborted) {
      // The first look begins with the connection: a store can hang while that is opened, too.
      let began = performance.now()
      let pause = 0
      const use = async (look: Look) => {
        while (!signal.aborted) {
          await look()
          const ended = performance.now()
          if (failingSince !== undefined || ended - began > pause + LATE)
            stalls.push({ target, began: failingSince ?? began, ended })
          failingSince = undefined
          // The next look counts from here, and not from its own beginning: a machine stands still mostly in a pause.
          began = ended
          pause = BETWEEN
          await delay(BETWEEN)
        }
      }
      await watched(access, use).catch(() => {
        failingSince ??= began
      })
      await delay(BETWEEN)
    }
  }

  return {
    stalls,
    run: async signal => {
      await Promise.all([watch('redis', redis, signal), watch('mariadb', mariadb, signal)])
    }
  }
}
