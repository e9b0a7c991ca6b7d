import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import { type StoreAccess, withMysql } from './stores.ts'

/** The user of the service in both stores. Faults take rights from it. The harness and the checker use other users. */
export const SERVICE_USER = 'orderstream-service'

/** The password of this user in both stores. Each run has a new password. */
export const SERVICE_PASSWORD = randomBytes(16).toString('hex')

/** The arguments that create this user when Redis starts. It has all rights. */
export const redisAccount = ['--user', SERVICE_USER, 'on', `>${SERVICE_PASSWORD}`, '~*', '&*', '+@all']

/** Forbids one command to this user in Redis, or allows all commands. This affects open connections, too. */
export async function allow(client: Redis, rule: `-${string}` | '+@all'): Promise<void> {
  await client.call('ACL', 'SETUSER', SERVICE_USER, rule)
}

/**
 * Creates this user in MySQL. It has all rights in its database and no rights over the server, so a read-only server
 * refuses its writes.
 */
export async function createMysqlAccount(mysql: StoreAccess['mysql']): Promise<void> {
  const account = `'${SERVICE_USER}'@'127.0.0.1'`
  await withMysql({ mysql }, async connection => {
    await connection.query(`CREATE USER IF NOT EXISTS ${account} IDENTIFIED BY '${SERVICE_PASSWORD}'`)
    await connection.query(`GRANT ALL PRIVILEGES ON \`${mysql.database}\`.* TO ${account}`)
  })
}
