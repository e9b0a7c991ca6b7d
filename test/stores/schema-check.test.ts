import { readFile } from 'node:fs/promises'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { pino } from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import { migrate } from '../../src/stores/mysql/migrate.ts'
import { readTables } from '../../src/stores/mysql/schema-check.ts'
import { useSpace } from '../harness/space.ts'

const space = await useSpace()
const log = pino({ level: 'silent' })

let databases = 0

/** Makes an empty database. */
async function makeDatabase() {
  const database = `${space.env.DB_NAME}_${++databases}`
  await space.sql(`CREATE DATABASE ${database}`)
  const { DB_HOST: host, DB_PORT, DB_USER: user, DB_PASSWORD: password } = space.env
  const options = { host, port: Number(DB_PORT), user, password, database } as Parameters<typeof migrate>[0]
  const connection = await createConnection(options)
  onTestFinished(() => connection.end())
  return {
    connection,
    sql: async (query: string) => (await connection.query<RowDataPacket[]>(query))[0],
    migrate: () => migrate(options, log)
  }
}

test('columns.json has exactly the columns that the migrations create', async () => {
  const text = await readFile(new URL('../../migrations/columns.json', import.meta.url), 'utf8')
  const declared: Record<string, { created: object; added?: object }> = JSON.parse(text)
  const { connection, sql, migrate: start } = await makeDatabase()
  await start()
  const names = (await sql('SHOW TABLES')).map(row => String(Object.values(row)[0]))
  const made = await readTables(connection, names)
  made.delete('schema_version')
  const toTypes = (columns: { name: string; type: string }[]) =>
    Object.fromEntries(columns.map(({ name, type }) => [name, type]))
  expect(Object.fromEntries([...made].map(([table, columns]) => [table, toTypes(columns)]))).toEqual(
    Object.fromEntries(
      Object.entries(declared).map(([table, { created, added }]) => [table, { ...created, ...added }])
    )
  )
})

test.each([
  ['CREATE TABLE outbox (id INT PRIMARY KEY)', 'outbox', 'the column order_id is missing'],
  ['CREATE TABLE outbox (id INT, order_id TEXT)', 'outbox', 'the column id is int null, not bigint primary'],
  ['CREATE VIEW accepted_seen AS SELECT 1 AS slot', 'accepted_seen', 'the column epoch is missing'],
  ['CREATE TABLE schema_version (id INT, release_name TEXT)', 'schema_version', 'the unknown column id']
])('a start after %s is refused before it changes anything', async (statement, table, sentence) => {
  const { sql, migrate: start } = await makeDatabase()
  await sql(statement)
  const before = await sql(`SHOW CREATE TABLE ${table}`)
  await expect(start()).rejects.toThrow(`The table ${table} `)
  await expect(start()).rejects.toThrow(sentence)
  expect(await sql(`SHOW CREATE TABLE ${table}`)).toEqual(before)
  const tables = (await sql('SHOW TABLES')).map(row => String(Object.values(row)[0]))
  expect(tables.filter(name => name !== 'schema_version' && name !== table)).toEqual([])
})

test('a start refuses a schema that was changed after its migration, if the change affects orders', async () => {
  const { sql, migrate: start } = await makeDatabase()
  await start()
  const changes = [
    [
      'ALTER TABLE orders DROP COLUMN traceparent',
      'the column traceparent is missing. Add it as varchar(55) null',
      'ALTER TABLE orders ADD traceparent VARCHAR(55) NULL'
    ],
    [
      'ALTER TABLE orders MODIFY request_id INT',
      'the column request_id is int null, not varchar(128) null',
      'ALTER TABLE orders MODIFY request_id VARCHAR(128) NULL'
    ],
    [
      'ALTER TABLE orders ADD customer INT NOT NULL',
      'the column customer is unknown and has no default',
      'ALTER TABLE orders MODIFY customer INT NULL'
    ],
    [
      'ALTER TABLE orders DROP INDEX orders_order_id',
      'the column order_id is varchar(100) ascii_bin, not varchar(100) ascii_bin unique with tenant',
      'ALTER TABLE orders ADD UNIQUE KEY orders_order_id (order_id, tenant)'
    ],
    ['RENAME TABLE outbox TO inbox', 'The table outbox is missing', 'RENAME TABLE inbox TO outbox']
  ] as const
  for (const [change, sentence, undo] of changes) {
    await sql(change)
    await expect(start()).rejects.toThrow(sentence)
    await sql(undo)
    await start()
  }
  // If one column exists, the migration skips the whole statement that adds several columns.
  await sql('ALTER TABLE orders DROP COLUMN message_id, DROP COLUMN tax_rate')
  await sql('DELETE FROM schema_version WHERE version > 2')
  await expect(start()).rejects.toThrow('The table orders cannot be used: the column message_id is missing')
})
