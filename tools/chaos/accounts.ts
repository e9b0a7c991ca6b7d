import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import { type StoreAccess, withMysql } from './stores.ts'

/**
 * The service's user in both stores. Faults take rights from it; the harness and the checker use other users, which keep
 * theirs.
 */
export const SERVICE_USER = 'orderstream-service'

/** The password of the service's user in both stores, new for each run. */
export const SERVICE_PASSWORD = randomBytes(16).toString('hex')

/** Arguments that make Redis start with the service's user, which has all rights. */
export const redisAccount = ['--user', SERVICE_USER, 'on', `>${SERVICE_PASSWORD}`, '~*', '&*', '+@all']

/** Changes the rights of the service's user in Redis, on open connections too: takes one command, or returns all. */
export async function allow(client: Redis, rule: `-${string}` | '+@all'): Promise<void> {
  await client.call('ACL', 'SETUSER', SERVICE_USER, rule)
}

/**
 * Creates the service's user in MySQL. It has all rights in its database and none on the server, so a read-only server
 * refuses its writes.
 */
export async function createMysqlAccount(access: StoreAccess): Promise<void> {
  const account = `'${SERVICE_USER}'@'127.0.0.1'`
  await withMysql(access, async connection => {
    await connection.query(`CREATE USER IF NOT EXISTS ${account} IDENTIFIED BY '${SERVICE_PASSWORD}'`)
    await connection.query(`GRANT ALL PRIVILEGES ON \`${access.mysql.database}\`.* TO ${account}`)
  })
}
