import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { createConnection } from 'mysql2/promise'
import type { Stores } from '../stores.ts'

/** The pause between two checks of a rewrite (ms), and the most checks. */
const BETWEEN = 50
const CHECKS = 600

/**
 * Empties the Redis of both revisions and creates their databases again, without tables. The first process of a
 * revision creates the tables. No process may use the stores during this call.
 */
export async function emptyStores(
  { redis, mariadb }: Pick<Stores, 'redis' | 'mariadb'>,
  databases: string[],
  signal: AbortSignal
): Promise<void> {
  const { host, port, user, password } = mariadb
  const connection = await createConnection({ host, port, user, password })
  try {
    for (const database of databases) {
      await connection.query(`DROP DATABASE IF EXISTS \`${database}\``)
      await connection.query(`CREATE DATABASE \`${database}\` CHARACTER SET utf8mb4`)
    }
  } finally {
    await connection.end()
  }
  const client = new Redis({ host: redis.always.host, port: redis.always.port, replyMapping: 'legacy' })
  try {
    await client.flushall()
    // Without a rewrite, the append-only file would grow with each round.
    await client.bgrewriteaof()
    for (let check = 0; check < CHECKS; check++) {
      if (/^aof_rewrite_in_progress:0/m.test(await client.info('persistence'))) return
      await delay(BETWEEN, undefined, { signal })
    }
  } finally {
    client.disconnect()
  }
}
