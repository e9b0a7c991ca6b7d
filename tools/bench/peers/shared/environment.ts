import type { PoolOptions } from 'mysql2/promise'

/** Returns the port to listen on. */
export function port(): number {
  return Number(variable('PORT'))
}

/** Returns the first part of every Redis key. */
export function keyPrefix(): string {
  return variable('KEY_PREFIX')
}

/** Returns the address of Redis in the form of ioredis and BullMQ. */
export function redisOptions() {
  return { host: variable('REDIS_HOST'), port: Number(variable('REDIS_PORT')) }
}

/**
 * Returns the options for mysql2. With them, DECIMAL and DATETIME come as text, as `fromRow` of the service expects.
 */
export function mysqlOptions() {
  return {
    host: variable('DB_HOST'),
    port: Number(variable('DB_PORT')),
    user: variable('DB_USER'),
    password: variable('DB_PASSWORD'),
    database: variable('DB_NAME'),
    dateStrings: true,
    supportBigNumbers: true
  } satisfies PoolOptions
}

function variable(name: string): string {
  const value = process.env[name]
  if (value === undefined) throw new Error(`${name} is not set`)
  return value
}
