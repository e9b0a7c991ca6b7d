import type { Connection, RowDataPacket } from 'mysql2/promise'
import { createConnection } from 'mysql2/promise'
import { pino } from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import { readAudit } from '../../../src/orders/audit/audit.ts'
import { convertOriginalOrders } from '../../../src/orders/tables/original-orders.ts'
import { type MigrationSteps, migrate } from '../../../src/stores/mysql/migrate.ts'
import { useApp } from '../../harness/app.ts'
import { until, useSpace } from '../../harness/space.ts'

const space = await useSpace()
const log = pino({ level: 'silent' })

const ORIGINAL = `CREATE TABLE orders (
  id INT AUTO_INCREMENT PRIMARY KEY,
  order_id VARCHAR(255) UNIQUE NOT NULL,
  amount DECIMAL(10,2) NOT NULL,
  tax DECIMAL(10,2),
  total DECIMAL(10,2),
  status VARCHAR(50) DEFAULT 'processing',
  created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
  updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  processed_at TIMESTAMP NULL,
  INDEX idx_status (status)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_general_ci`

/** One order of each kind. 12:00 in the session's time zone is 10:00 in UTC. */
const ROWS = `INSERT INTO orders (order_id, amount, tax, total, status, created_at, updated_at, processed_at) VALUES
  ('new-1', 100.00, 18.00, 118.00, 'completed', '2026-01-31 12:00:00', '2026-01-31 12:00:05', '2026-01-31 12:00:04'),
  ('priced', 10.00, 1.80, 11.80, 'processing', '2026-01-31 12:00:00', '2026-01-31 12:00:01', NULL),
  ('waiting', 20.50, NULL, NULL, 'processing', '2026-01-31 12:00:00', '2026-01-31 12:00:00', NULL),
  ('pending', 30.00, NULL, NULL, 'pending', '2026-01-31 12:00:00', '2026-01-31 12:00:00', NULL),
  ('failed', 40.00, NULL, NULL, 'failed', '2026-01-31 12:00:00', '2026-01-31 12:00:02', NULL)`

/** Creates a database and runs the statements `tables` in it. */
async function makeDatabase(name: string, ...tables: string[]) {
  const database = `${space.env.DB_NAME}_${name}`
  await space.sql(`CREATE DATABASE ${database}`)
  const { DB_HOST: host, DB_PORT, DB_USER: user, DB_PASSWORD: password } = space.env
  const options = { host, port: Number(DB_PORT), user, password, database } as Parameters<typeof migrate>[0]
  const connection = await createConnection({ ...options, dateStrings: true })
  onTestFinished(() => connection.end())
  const sql = async (query: string) => (await connection.query<RowDataPacket[]>(query))[0]
  await sql("SET time_zone = '+02:00'")
  for (const statement of tables) await sql(statement)
  return {
    database,
    sql,
    migrate: (steps: MigrationSteps) => migrate(options, log, { steps }),
    /** Reads all tables with their columns. */
    describe: () =>
      sql(
        `SELECT table_name AS tab, column_name AS col, column_type AS type FROM information_schema.columns
         WHERE table_schema = '${database}' ORDER BY tab, ordinal_position`
      )
  }
}

const ORDERS = `SELECT order_id, amount, tax, total, status, created_at, updated_at, processed_at, tax_rate, failure_code
  FROM orders ORDER BY order_id`
const TOTALS = `SELECT SUM(accepted) AS accepted, SUM(completed) AS completed, SUM(failed) AS failed,
  SUM(processing) AS processing, SUM(revenue) AS revenue FROM order_totals`

test('processes that start together convert, count and finish the orders of the original system', async () => {
  const { database: DB_NAME, sql } = await makeDatabase('served', ORIGINAL, ROWS)
  const [api, worker] = await Promise.all([
    useApp(space, 'api', { DB_NAME }),
    useApp(space, 'worker', { DB_NAME })
  ])
  const { keys } = api.app
  const { redis, mysql } = api.app.stores
  await until('MySQL is up', () => mysql.availability.up)
  const get = async (id: string) => (await api.call(`/orders/${id}`)).json()
  const at = (second: number) => `2026-01-31T10:00:0${second}.000Z`
  const times = { created_at: at(0), updated_at: at(5), processed_at: at(4) }
  expect(await get('new-1')).toEqual({
    order_id: 'new-1',
    amount: 100,
    tax: 18,
    total: 118,
    status: 'completed',
    ...times
  })
  expect(await get('priced')).toMatchObject({ total: 11.8, status: 'completed', processed_at: at(1) })
  expect(await get('failed')).toMatchObject({ tax: null, status: 'failed', failure: { code: 'original' } })
  await until('the waiting orders are finished', async () => (await get('pending')).status === 'completed')
  expect(await get('waiting')).toMatchObject({ tax: 3.69, total: 24.19, status: 'completed' })

  const codes = await Promise.all(
    [
      { order_id: 'NEW-1', amount: 7 },
      { order_id: 'new-1', amount: 100 },
      { order_id: 'new-1', amount: 7 }
    ].map(async body => (await api.post(body)).statusCode)
  )
  expect(codes).toEqual([202, 200, 409])
  await until('the new order is finished', async () => (await get('NEW-1')).status === 'completed')
  expect(await get('new-1')).toMatchObject({ amount: 100 })
  const audit = () => readAudit(redis, mysql, keys)
  await until('the audit is at rest', async () => (await audit()).in_flight === 0)
  expect(await audit()).toMatchObject({ accepted: 6, completed: 5, failed: 1, difference: 0, lost: 0 })
  expect(await sql('SELECT COUNT(*) AS n FROM orders_original')).toEqual([{ n: 5 }])
  for (const { log: lines } of [api, worker])
    expect(lines.filter(({ level, store }) => Number(level) >= 50 && store !== 'mysql')).toEqual([])
})

/** A connection that is lost after `allowed` statements. */
function cutAfter(connection: Connection, allowed: number): { connection: Connection; sent: () => number } {
  let sent = 0
  const query = (...args: unknown[]) => {
    if (sent++ === allowed) connection.destroy()
    return connection.query(...(args as [string]))
  }
  const proxy = new Proxy(connection, {
    get: (target, name) => (name === 'query' ? query : Reflect.get(target, name))
  })
  return { connection: proxy, sent: () => sent }
}

test('later starts finish a conversion that was cut off at any statement, with the same rows and totals', async () => {
  const many = Array.from({ length: 4 }, (_, n) => `('more-${n}', ${n}.25, 0.05, ${n}.30, 'completed')`)
  const rows = [ROWS, `INSERT INTO orders (order_id, amount, tax, total, status) VALUES ${many}`]
  const steps = convertOriginalOrders('0.2', { size: 5 })
  const whole = await makeDatabase('whole', 'SET timestamp = 1769860800', ORIGINAL, ...rows)
  await whole.migrate(steps)
  const cut = await makeDatabase('cut', 'SET timestamp = 1769860800', ORIGINAL, ...rows)
  let starts = 0
  for (const step of ['before', 'after'] as const) {
    for (let allowed = 0, done = false; !done; allowed++, starts++) {
      let counted = () => 0
      const wrap = (connection: Connection) => {
        const lost = cutAfter(connection, allowed)
        counted = lost.sent
        return lost.connection
      }
      const before: MigrationSteps['before'] = (connection, ...args) =>
        steps.before(step === 'before' ? wrap(connection) : connection, ...args)
      const after: MigrationSteps['after'] = async (connection, ...args) => {
        // This cuts the first loop off before the copy.
        if (step === 'after') return steps.after(wrap(connection), ...args)
        throw new Error('cut off')
      }
      const failure = await cut.migrate({ before, after }).catch((error: Error) => error)
      done = step === 'before' ? failure?.message === 'cut off' : failure === undefined
      expect(counted()).toBeLessThanOrEqual(allowed + 1)
    }
  }
  expect(starts).toBeGreaterThan(20)
  expect(await cut.sql(ORDERS)).toEqual(await whole.sql(ORDERS))
  expect(await cut.sql(TOTALS)).toEqual(await whole.sql(TOTALS))
  expect(await cut.sql(TOTALS)).toMatchObject([
    { accepted: '9', completed: '6', failed: '1', processing: '2', revenue: '137.0000' }
  ])
  await cut.migrate(steps)
  expect(await cut.sql(TOTALS)).toEqual(await whole.sql(TOTALS))
})

test('an original table is refused while a transaction uses it, and converted after the transaction', async () => {
  const { sql, migrate: start } = await makeDatabase('in_use', ORIGINAL, ROWS)
  const steps = convertOriginalOrders('0.18', { lockWait: 1 })
  await sql('START TRANSACTION')
  await sql("UPDATE orders SET amount = 21 WHERE order_id = 'waiting'")
  await expect(start(steps)).rejects.toThrow('The table orders is in use: stop the original system')
  await sql('COMMIT')
  await start(steps)
  expect(await sql("SELECT amount FROM orders WHERE order_id = 'waiting'")).toEqual([{ amount: '21.0000' }])
})

test.each([
  ['an unknown column', 'ALTER TABLE orders ADD customer VARCHAR(10)', 'the column customer is unknown'],
  ['a column of another type', 'ALTER TABLE orders MODIFY amount DOUBLE', 'the column amount is double null'],
  ['no status', 'ALTER TABLE orders DROP status', 'the column status is missing'],
  [
    'an id that is too long',
    `UPDATE orders SET order_id = REPEAT('x', 101) WHERE id = 1`,
    'the column order_id of'
  ],
  [
    'an id with other letters',
    `UPDATE orders SET order_id = 'é' WHERE id = 1`,
    'the column order_id of the order "é"'
  ],
  ['a line break in an id', `UPDATE orders SET order_id = 'a\n' WHERE id = 1`, 'the column order_id of'],
  [
    'a negative amount',
    'UPDATE orders SET amount = -1 WHERE id = 2',
    'the column amount of the order "priced"'
  ],
  [
    'an amount that is too large',
    'ALTER TABLE orders MODIFY amount DECIMAL(12,2); UPDATE orders SET amount = 100000000 WHERE id = 3',
    'the column amount of the order "waiting"'
  ],
  [
    'an amount whose total is too large',
    'UPDATE orders SET amount = 99999999 WHERE id = 3',
    'is too large for its tax'
  ],
  [
    'no time',
    'UPDATE orders SET created_at = NULL WHERE id = 3; UPDATE orders SET updated_at = NULL',
    'created_at of'
  ],
  [
    'an unknown status',
    `UPDATE orders SET status = 'shipped' WHERE id = 3`,
    'the column status of the order "waiting"'
  ],
  [
    'a completed order without its total',
    'UPDATE orders SET total = NULL WHERE id = 1',
    'the column total of the order "new-1"'
  ],
  [
    'one id for two rows',
    "ALTER TABLE orders DROP INDEX order_id; UPDATE orders SET order_id = 'new-1' WHERE id = 2",
    'the order "new-1" names more than one row'
  ],
  [
    'a table of the service beside it',
    'CREATE TABLE outbox (id INT PRIMARY KEY)',
    'The table outbox exists already'
  ]
])(
  'an original table with %s is refused with a clear message and stays unchanged',
  async (what, change, sentence) => {
    const makeNullable =
      'ALTER TABLE orders MODIFY created_at TIMESTAMP NULL, MODIFY updated_at TIMESTAMP NULL'
    const name = what.replaceAll(' ', '_')
    const {
      database,
      migrate: start,
      sql,
      describe
    } = await makeDatabase(name, ORIGINAL, makeNullable, ROWS, ...change.split('; '))
    const before = [await describe(), await sql('SELECT * FROM orders')]
    await expect(start(convertOriginalOrders('0.18'))).rejects.toThrow(sentence)
    await expect(start(convertOriginalOrders('0.18'))).rejects.toThrow('nothing has been changed')
    expect([await describe(), await sql('SELECT * FROM orders')], database).toEqual(before)
  }
)

test('a refused table is logged once, however often it is checked', async () => {
  const { database } = await makeDatabase('logged', 'CREATE TABLE orders (id INT PRIMARY KEY, name TEXT)')
  const api = await useApp(space, 'api', { DB_NAME: database })
  for (let check = 0; check < 3; check++)
    expect((await api.call('/health')).json().services.database).toBe('disconnected')
  const lines = api.log.filter(({ msg }) => msg === 'database schema refused')
  expect(lines).toMatchObject([
    { table: 'orders', err: { message: expect.stringContaining('the column name is unknown') } }
  ])
})
