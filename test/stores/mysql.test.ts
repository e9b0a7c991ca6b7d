import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { NoFreeConnection, StoreRefused, StoreUnavailable } from '../../src/stores/errors.ts'
import { connectionOptions, createMysqlPool, query } from '../../src/stores/mysql/pool.ts'
import type { Transaction } from '../../src/stores/mysql/transaction.ts'
import { startProxy } from '../fault/proxy.ts'
import { useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'

const space = await useSpace()

/** Returns the MySQL of an api when it is available. The first api has to create the tables. */
const useMysql = async () => {
  const { mysql } = (await useApp(space, 'api')).app.stores
  await until('MySQL is up', () => mysql.availability.up)
  return mysql
}

test.each([new StoreUnavailable('redis'), new StoreRefused('redis'), new StoreRefused('mysql')])(
  'a transaction that throws "%s" rolls back, keeps its connection, and leaves MySQL available',
  async error => {
    const mysql = await useMysql()
    const idOf = async ({ rows }: Pick<Transaction, 'rows'>) => {
      const [row] = await rows<{ id: number }>('SELECT CONNECTION_ID() AS id', [])
      return row?.id
    }
    const before = await idOf(mysql)
    const failing = mysql.transaction(async transaction => {
      expect(await idOf(transaction)).toBe(before)
      await transaction.run("INSERT INTO outbox (order_id) VALUES ('rolled-back')", [])
      throw error
    })
    await expect(failing).rejects.toBe(error)
    expect(mysql.availability.up).toBe(true)
    expect(await idOf(mysql)).toBe(before)
    expect(await mysql.rows('SELECT * FROM outbox', [])).toEqual([])
  }
)

test('a session does not use the defaults of the server', async () => {
  const mysql = await useMysql()
  const rows = await mysql.rows<{ Variable_name: string; Value: string }>(
    `SHOW SESSION VARIABLES WHERE Variable_name IN
       ('tx_isolation', 'transaction_isolation', 'sql_mode', 'time_zone', 'innodb_lock_wait_timeout')`,
    []
  )
  const { tx_isolation, transaction_isolation, ...others } = Object.fromEntries(
    rows.map(({ Variable_name, Value }) => [Variable_name, Value])
  )
  expect(transaction_isolation ?? tx_isolation).toBe('READ-COMMITTED')
  expect(others).toEqual({
    innodb_lock_wait_timeout: '3',
    sql_mode: 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',
    time_zone: '+00:00'
  })
})

test('two transactions that deadlock both succeed', async () => {
  const mysql = await useMysql()
  await space.sql('CREATE TABLE pair (id INT PRIMARY KEY, n INT NOT NULL)')
  await space.sql('INSERT INTO pair VALUES (1, 0), (2, 0)')
  const bothIn = Promise.withResolvers<void>()
  let tries = 0
  const add = (...ids: number[]) =>
    mysql.transaction(async ({ run }) => {
      const first = ++tries <= 2
      for (const id of ids) {
        await run('UPDATE pair SET n = n + 1 WHERE id = ?', [id])
        if (tries === 2) bothIn.resolve()
        if (first) await bothIn.promise
      }
    })
  await Promise.all([add(1, 2), add(2, 1)])
  expect(await space.sql('SELECT n FROM pair')).toEqual([{ n: 2 }, { n: 2 }])
  expect(tries).toBe(3)
})

test('a pool closes while it opens a connection to a server that hangs', async () => {
  const server = createServer(() => {}).listen(0, '127.0.0.1')
  onTestFinished(() => {
    server.close()
  })
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const pool = createMysqlPool(space.config({ MODE: 'api', DB_PORT: port }), 2)
  const used = expect(pool.using(async () => {})).rejects.toThrow()
  await once(server, 'connection')
  await pool.close()
  await used
})

test('a pool closes while it abandons a statement without an answer', async () => {
  const proxy = await startProxy(Number(space.env.DB_PORT))
  const pool = createMysqlPool(space.config({ MODE: 'api', DB_PORT: proxy.port }), 2)
  const held = proxy.holdAt('SELECT 1')
  const used = expect(pool.using(connection => query(connection, 'SELECT 1', [], 300))).rejects.toThrow()
  await held
  await pool.close()
  await used
})

test.each([
  ['db.example', true],
  ['10.0.0.1', false]
])('TLS verifies the certificate, and the verification of the host name for %s is %s', (host, named) => {
  const config = space.config({ MODE: 'api', DB_TLS: 'true', DB_HOST: host })
  expect(connectionOptions(config).ssl).toEqual({ rejectUnauthorized: true, verifyIdentity: named })
})

test('a connection that opens too late for its caller returns to the pool', async () => {
  const pool = createMysqlPool(space.config({ MODE: 'api', STORE_TIMEOUT_MS: 1000 }), 2)
  onTestFinished(() => pool.close())
  const { promise: over, resolve: end } = Promise.withResolvers<void>()
  const both = (work: () => Promise<void>) => Promise.allSettled([pool.using(work), pool.using(work)])
  const first = both(() => over)
  const late = {
    status: 'rejected',
    reason: new NoFreeConnection('mysql', new Error('all 2 connections were in use for 1000 ms'))
  }
  expect(await both(async () => {})).toEqual([late, late])
  end()
  await first
  expect(await pool.using(async () => 'there is one')).toBe('there is one')
})

test('a connection whose session set-up times out is dropped and replaced', async () => {
  const proxy = await startProxy(Number(space.env.DB_PORT))
  const config = { MODE: 'api', DB_PORT: proxy.port, STORE_TIMEOUT_MS: 500 }
  const pool = createMysqlPool(space.config(config), 2)
  onTestFinished(() => pool.close())
  const held = proxy.holdAt('SET SESSION time_zone')
  const all = await Promise.allSettled(
    Array.from({ length: 4 }, () => pool.using(connection => query(connection, 'SELECT 1', [], 500)))
  )
  await held
  for (const { status, reason } of all as PromiseRejectedResult[])
    expect([status, reason]).toEqual(['rejected', expect.any(StoreUnavailable)])
  // The proxy still holds the earlier statements, so only new connections work.
  proxy.freeze()
  proxy.release()
  const rows = () => pool.using(connection => query(connection, 'SELECT 1 AS one', [], 500))
  expect(await until('it gets a connection', () => rows().catch(() => undefined))).toEqual([{ one: 1 }])
})

test('a process whose connections are all in use does not count MySQL as unavailable', async () => {
  const { orders: mysql } = (await useApp(space, 'api', { DB_POOL_SIZE: 2, STORE_TIMEOUT_MS: 500 })).app
    .stores
  await until('MySQL is up', () => mysql.availability.up)
  const { promise: over, resolve: end } = Promise.withResolvers<void>()
  const long = mysql.transaction(() => over)
  await expect(mysql.rows('SELECT 1', [])).rejects.toBeInstanceOf(NoFreeConnection)
  expect(mysql.availability.up).toBe(true)
  expect(await mysql.availability.check()).toBe(true)
  end()
  await long
  expect(await mysql.rows('SELECT 1 AS one', [])).toEqual([{ one: 1 }])
})

test.each([
  ['has reached its limit of connections', 'WITH MAX_USER_CONNECTIONS 1', ''],
  ['is locked', '', 'ACCOUNT LOCK']
])('MySQL counts as unavailable for a new connection when its account %s', async (_what, first, then) => {
  const DB_USER = `user_${randomBytes(4).toString('hex')}`
  const account = `'${DB_USER}'@'${space.env.DB_HOST}'`
  await space.sql(`CREATE USER ${account} IDENTIFIED BY 'word' ${first}`)
  onTestFinished(async () => {
    await space.sql(`DROP USER ${account}`)
  })
  await space.sql(`GRANT SELECT ON ${space.env.DB_NAME}.* TO ${account}`)
  const pool = createMysqlPool(space.config({ MODE: 'api', DB_USER, DB_PASSWORD: 'word' }), 2)
  onTestFinished(() => pool.close())
  await pool.using(async () => {
    await space.sql(`ALTER USER ${account} ${then}`)
    await expect(pool.using(async () => {})).rejects.toBeInstanceOf(StoreUnavailable)
  })
})

test('a process waits with one connection while another process migrates the schema', async () => {
  const lock = "CONCAT('orderstream-migrate-', MD5(DATABASE()))"
  await space.sql(`DO GET_LOCK(${lock}, 0)`)
  const { mysql } = (await useApp(space, 'api', { STORE_TIMEOUT_MS: 500 })).app.stores
  for (let look = 0; look < 3; look++) expect(await mysql.availability.check()).toBe(false)
  const waiting =
    "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND state = 'User lock'"
  expect(await space.sql(waiting)).toHaveLength(1)
  await space.sql(`DO RELEASE_LOCK(${lock})`)
  await until('it is migrated', () => mysql.availability.up)
})
