import { cpus, release, totalmem, type } from 'node:os'
import { Redis } from 'ioredis'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import type { Machine } from './results.ts'
import type { Stores } from './stores.ts'

/** Describes the machine and the versions of the stores. */
export async function readMachine({ redis, mariadb }: Stores): Promise<Machine> {
  const processors = cpus()
  return {
    processor: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    memory_gb: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    node: process.versions.node,
    redis: await redisVersion(redis.always.port),
    mysql: await mysqlVersion(mariadb)
  }
}

async function redisVersion(port: number): Promise<string> {
  const client = new Redis({ port, replyMapping: 'legacy' })
  try {
    return /^redis_version:(\S+)/m.exec(await client.info('server'))?.[1] ?? 'unknown'
  } finally {
    client.disconnect()
  }
}

async function mysqlVersion({ host, port, user, password }: Stores['mariadb']): Promise<string> {
  const connection = await createConnection({ host, port, user, password })
  try {
    const [[row]] = await connection.query<RowDataPacket[]>('SELECT VERSION() AS version')
    return String(row?.version)
  } finally {
    await connection.end()
  }
}
