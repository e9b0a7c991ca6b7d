import { setTimeout as delay } from 'node:timers/promises'
import type { Span } from './outages.ts'
import { type StoreAccess, WATCHING, withMysql, withRedis } from './stores.ts'

/** A time in which a store did not answer or failed, at most one pause between two checks too long. */
export interface Stall extends Span {
  target: 'redis' | 'mariadb'
}

/** The stalls so far; each one is added when it is over. */
export interface StallWatch {
  stalls: Stall[]
  /** Watches until aborted. */
  run: (signal: AbortSignal) => Promise<void>
}

/** Time between an answer and the next check, ms. */
const BETWEEN = 100

/**
 * An answer that is late by this much is a stall, ms: half of the time that the service waits. The watch therefore sees
 * every store that is too slow for the service. It also sees a machine that stood still, because the next answer is
 * late although the store answers at once.
 */
const LATE = 200

type Check = () => Promise<unknown>

/** Opens a connection and passes `use` a write that must reach the disk, as the service's own writes must. */
type Watched = (access: StoreAccess, use: (check: Check) => Promise<void>) => Promise<void>

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
 * Writes to both stores until aborted and records the times in which they did not answer, with or without a fault. A
 * busy disk can stop a store for longer than the service waits, and so can a machine that stands still.
 */
export function createStallWatch(access: StoreAccess): StallWatch {
  const stalls: Stall[] = []

  const watch = async (target: Stall['target'], watched: Watched, signal: AbortSignal) => {
    let failingSince: number | undefined
    while (!signal.aborted) {
      // The first check includes opening the connection: a store can hang there too.
      let began = performance.now()
      let pause = 0
      const use = async (check: Check) => {
        while (!signal.aborted) {
          await check()
          const ended = performance.now()
          if (failingSince !== undefined || ended - began > pause + LATE)
            stalls.push({ target, began: failingSince ?? began, ended })
          failingSince = undefined
          // The next check counts from here: a machine mostly stands still in a pause.
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
