import { Redis } from 'ioredis'
import { createConnection } from 'mysql2/promise'
import { expect, test } from 'vitest'
import {
  createMysqlAccount,
  redisAccount,
  SERVICE_PASSWORD,
  SERVICE_USER
} from '../../../tools/chaos/accounts.ts'
import { injectFaults } from '../../../tools/chaos/inject.ts'
import { type DeniedCommand, deniedCommands, type Fault } from '../../../tools/chaos/plan.ts'
import type { System } from '../../../tools/chaos/system.ts'
import { useOwnStores } from '../../fault/own-stores.ts'
import { until } from '../../harness/space.ts'
import { accessOf } from './access.ts'

// A read-only server refuses writes to every database on it.
const stores = await useOwnStores()

/** The arguments that the server needs before it checks rights. The keys do not exist. */
const ARGUMENTS: Record<DeniedCommand, string[]> = {
  xreadgroup: ['GROUP', 'group', 'consumer', 'STREAMS', 'stream', '>'],
  xautoclaim: ['stream', 'group', 'consumer', '0', '0'],
  evalsha: ['0'.repeat(40), '0'],
  mget: ['key']
}

/** The message of a refusal, or an empty text if the call succeeds. */
const refusalOf = (call: Promise<unknown>) =>
  call.then(
    () => '',
    (error: Error) => error.message
  )

/** Injects a fault, waits until `refused` holds, and resolves when the fault is over. */
async function during(system: System, fault: Fault, refused: () => Promise<boolean>): Promise<void> {
  const end = new AbortController()
  const injecting = injectFaults(system, [fault], () => {}, end.signal)
  try {
    await until(`${fault.kind} has an effect`, refused)
  } finally {
    end.abort()
    await injecting
  }
}

test('a fault removes the rights of only the service in a store for a time, also on open connections', async () => {
  const space = await stores.space()
  const access = accessOf(space)
  const member = { exclusively: (work: () => Promise<unknown>) => work() }
  const system = { access, members: { redis: member, mariadb: member }, incidents: [] } as unknown as System
  const account = { username: SERVICE_USER, user: SERVICE_USER, password: SERVICE_PASSWORD }
  await space.redis.call('ACL', 'SETUSER', ...redisAccount.slice(1))
  await createMysqlAccount(access.mysql)
  await space.sql('CREATE TABLE things (id INT)')
  const service = new Redis({ ...access.redis[0], ...account, replyMapping: 'legacy' })
  const { host, port, database } = access.mysql
  const connection = await createConnection({
    host,
    port,
    database,
    user: account.user,
    password: account.password
  })
  try {
    for (const command of deniedCommands) {
      const refusal = () => refusalOf(service.call(command, ...ARGUMENTS[command]))
      const fault: Fault = { at: 0, kind: 'deny-redis', target: 'redis', lasts: 600_000, command }
      expect(await refusal()).not.toMatch(/NOPERM/)
      await during(system, fault, async () => (await refusal()).startsWith('NOPERM'))
      expect(await refusal()).not.toMatch(/NOPERM/)
    }
    const write = () => refusalOf(connection.query('INSERT INTO things VALUES (1)'))
    expect(await write()).toBe('')
    const readOnly: Fault = { at: 0, kind: 'read-only-mariadb', target: 'mariadb', lasts: 600_000 }
    await during(system, readOnly, async () => {
      if (!(await write()).includes('--read-only')) return false
      await space.sql('INSERT INTO things VALUES (2)')
      await connection.query('SELECT id FROM things')
      return true
    })
    expect(await write()).toBe('')
    expect(system.incidents).toEqual([])
  } finally {
    service.disconnect()
    await connection.end()
  }
})
