import { expect, test } from 'vitest'
import { useOwnStores } from '../fault/own-stores.ts'
import { useApp } from '../harness/app.ts'
import { until } from '../harness/space.ts'

const stores = await useOwnStores()

/** Defaults of a server. Each of them would break the service. */
const HOSTILE = {
  autocommit: 0,
  completion_type: 1,
  sql_mode: "'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,ALLOW_INVALID_DATES'",
  time_zone: "'+05:00'",
  unique_checks: 0,
  foreign_key_checks: 0,
  sql_select_limit: 1,
  sql_big_selects: 0,
  sql_safe_updates: 1,
  sql_auto_is_null: 1,
  innodb_lock_wait_timeout: 50,
  lock_wait_timeout: 86_400,
  wait_timeout: 2,
  tx_isolation: "'SERIALIZABLE'",
  character_set_client: "'latin1'",
  character_set_connection: "'latin1'",
  character_set_results: "'latin1'"
}

test('orders and functions work on a server with wrong defaults for new sessions', async () => {
  const space = await stores.space()
  for (const [name, value] of Object.entries(HOSTILE)) await space.sql(`SET GLOBAL ${name} = ${value}`)
  const api = await useApp(space, 'api')
  const worker = await useApp(space, 'worker')
  const { mysql, orders: ordersMysql } = worker.app.stores
  await until('MySQL is up', () => mysql.availability.up)
  for (const store of [mysql, ordersMysql]) {
    const names = Object.keys(HOSTILE).map(name => `@@SESSION.${name} AS ${name}`)
    const [session] = await store.rows(`SELECT ${names.join(', ')}`, [])
    expect(session).toEqual({
      autocommit: 1,
      completion_type: 'NO_CHAIN',
      sql_mode: 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',
      time_zone: '+00:00',
      unique_checks: 1,
      foreign_key_checks: 1,
      sql_select_limit: '18446744073709551615',
      sql_big_selects: 1,
      sql_safe_updates: 0,
      sql_auto_is_null: 0,
      innodb_lock_wait_timeout: 3,
      lock_wait_timeout: 51,
      wait_timeout: 28_800,
      tx_isolation: 'READ-COMMITTED',
      character_set_client: 'utf8mb4',
      character_set_connection: 'utf8mb4',
      character_set_results: 'utf8mb4'
    })
  }
  for (const id of ['one', 'two'])
    expect((await api.post({ order_id: id, amount: 100 })).statusCode).toBe(202)
  await until('both are completed', async () => {
    const rows = await space.sql("SELECT 1 FROM orders WHERE status = 'completed'")
    return rows.length === 2
  })
  // The insert takes effect at once. The read leaves no transaction open that would block the ALTER TABLE.
  await mysql.rows("INSERT INTO outbox (order_id) VALUES ('none')", [])
  await mysql.rows('SELECT * FROM orders', [])
  expect(await space.sql("SELECT order_id FROM outbox WHERE order_id = 'none'")).toHaveLength(1)
  await space.sql('SET SESSION lock_wait_timeout = 5')
  await space.sql('ALTER TABLE outbox ADD COLUMN note INT NULL')
  // The migrations are committed, including the last version.
  const [row] = await space.sql<{ n: number }>('SELECT COUNT(*) AS n FROM schema_version WHERE version > 0')
  expect(Number(row?.n)).toBeGreaterThan(3)
})
