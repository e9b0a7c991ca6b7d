import { setTimeout as delay } from 'node:timers/promises'
import type { Span } from './spans.ts'
import { type RedisAddress, type StoreAccess, WATCHING, withMysql, withServer } from './stores.ts'

/** A time in which a store failed or did not answer. It may be one pause between two checks too long. */
export interface Stall extends Span {
  target: 'redis' | 'mariadb'
  /** The port of the server, if it is a server of a cluster. */
  port?: number | undefined
}

/** The stalls so far. A stall is added when it is over. */
export interface StallWatch {
  stalls: Stall[]
  /** Checks the stores until aborted. */
  run: (signal: AbortSignal) => Promise<void>
}

/** The pause between an answer and the next check (ms). */
const BETWEEN = 100

/**
 * A check that takes longer than this is a stall (ms). It is half of the time that the service waits, so each store
 * that is too slow for the service has a stall. A machine that stops also causes a stall, because the next answer is
 * late.
 */
const LATE = 200

type Check = () => Promise<unknown>

/** Opens a connection and calls `use` with a check. It writes to the disk, as the service does, if the store syncs every write. */
type Watched = (use: (check: Check) => Promise<void>) => Promise<void>

const singleServer =
  (server: RedisAddress): Watched =>
  use =>
    withServer(server, client => use(() => client.set('chaos-look', performance.now())), WATCHING)

/** A server of a cluster does not accept every key. It syncs its writes every second, so a write would not show more. */
const clusterServer =
  (server: RedisAddress): Watched =>
  use =>
    withServer(server, client => use(() => client.ping()), WATCHING)

const mariadb =
  (access: StoreAccess): Watched =>
  use =>
    withMysql(
      access,
      async connection => {
        await connection.query(
          'CREATE TABLE IF NOT EXISTS chaos_look (id INT PRIMARY KEY, at DOUBLE NOT NULL)'
        )
        await use(() => connection.query('REPLACE INTO chaos_look VALUES (1, ?)', [performance.now()]))
      },
      WATCHING
    )

/**
 * Uses both stores until aborted and records the times in which they did not answer, with or without a fault. A
 * busy disk, or a machine that stops, can block a store for longer than the service waits.
 */
export function createStallWatch(access: StoreAccess): StallWatch {
  const stalls: Stall[] = []

  const watch = async (which: Pick<Stall, 'target' | 'port'>, watched: Watched, signal: AbortSignal) => {
    let failingSince: number | undefined
    while (!signal.aborted) {
      // The first check includes the connect, because a store can also hang there.
      let began = performance.now()
      let pause = 0
      const use = async (check: Check) => {
        while (!signal.aborted) {
          await check()
          const ended = performance.now()
          if (failingSince !== undefined || ended - began > pause + LATE)
            stalls.push({ ...which, began: failingSince ?? began, ended })
          failingSince = undefined
          // The next check includes the pause, because most stops of a machine fall into a pause.
          began = ended
          pause = BETWEEN
          await delay(BETWEEN)
        }
      }
      await watched(use).catch(() => {
        failingSince ??= began
      })
      await delay(BETWEEN)
    }
  }

  return {
    stalls,
    run: async signal => {
      const isCluster = access.redis.length > 1
      const watched = isCluster ? clusterServer : singleServer
      await Promise.all([
        watch({ target: 'mariadb' }, mariadb(access), signal),
        ...access.redis.map(server =>
          watch({ target: 'redis', port: isCluster ? server.port : undefined }, watched(server), signal)
        )
      ])
    }
  }
}
