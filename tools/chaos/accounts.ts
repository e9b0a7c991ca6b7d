import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import { type StoreAccess, withMysql } from './stores.ts'

/**
 * What the service calls itself in both stores: a user that a fault can take rights from. The harness and the checker use
 * others, which keep theirs.
 */
export const SERVICE_USER = 'orderstream-service'
export const SERVICE_PASSWORD = randomBytes(16).toString('hex')

/** Makes Redis start with the service's user, which may do everything. */
export const redisAccount = ['--user', SERVICE_USER, 'on', `>${SERVICE_PASSWORD}`, '~*', '&*', '+@all']

/** Takes a command from the service's user of Redis, connections that are open included; `all` returns every one. */
export async function allow(client: Redis, rule: `-${string}` | '+@all'): Promise<void> {
  await client.call('ACL', 'SETUSER', SERVICE_USER, rule)
}

/**
 * Makes the service's user of MySQL. It may do everything in its database and nothing to the server, so that a server
 * that is read-only is so for it.
 */
export async function createMysqlAccount(access: StoreAccess): Promise<void> {
  const account = `'${SERVICE_USER}'@'127.0.0.1'`
  await withMysql(access, async connection => {
    await connection.query(`CREATE USER IF NOT EXISTS ${account} IDENTIFIED BY '${SERVICE_PASSWORD}'`)
    await connection.query(`GRANT ALL PRIVILEGES ON \`${access.mysql.database}\`.* TO ${account}`)
  })
}
