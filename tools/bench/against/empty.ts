import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { createConnection } from 'mysql2/promise'
import type { Stores } from '../stores.ts'

/** Between two looks at a rewrite (ms), and how many there are at most. */
const LOOK = 50
const LOOKS = 600

/**
 * Empties the Redis that both revisions use, and makes their databases anew, without tables: the first process that
 * starts makes those of its revision. Nothing may be running on them.
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
    // Otherwise the log on disk grows with each round.
    await client.bgrewriteaof()
    for (let look = 0; look < LOOKS; look++) {
      if (/^aof_rewrite_in_progress:0/m.test(await client.info('persistence'))) return
      await delay(LOOK, undefined, { signal })
    }
  } finally {
    client.disconnect()
  }
}
