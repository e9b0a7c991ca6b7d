import { expect, onTestFinished, test } from 'vitest'
import type { MysqlStore } from '../../src/stores/mysql/store.ts'
import type { StreamFunction } from '../../src/streams/function.ts'
import { useApp } from '../harness/app.ts'
import { connectTo, until, useSpace } from '../harness/space.ts'
import { makeFunction } from './functions.ts'

const space = await useSpace()

/** The call to `app.stores.mysql` that a function makes for a message. */
type Call = (mysql: MysqlStore, n: number) => Promise<unknown>

/** Starts a worker with a function that makes a call for each message, and reports each failure by message. */
async function callEach(
  call: Call,
  overrides: Partial<StreamFunction> = {},
  env: Record<string, unknown> = {}
) {
  let mysql: MysqlStore | undefined
  const calls = new Map<number, number>()
  const fn = makeFunction(
    space,
    async messages => {
      const failed: { message: (typeof messages)[number]; cause: Error }[] = []
      for (const message of messages) {
        const { n } = message.body
        calls.set(n, (calls.get(n) ?? 0) + 1)
        try {
          await call(mysql as MysqlStore, n)
        } catch (error) {
          failed.push({ message, cause: new Error('it could not be reserved', { cause: error }) })
        }
      }
      return { failed }
    },
    { retry: { attempts: 1, base: 10, max: 10 }, ...overrides }
  )
  const worker = await useApp(space, 'worker', env, app => {
    mysql = app.stores.mysql
    app.consume(fn.definition)
  })
  await until('MySQL is up', () => worker.app.stores.mysql.availability.up)
  const deadLetters = async () => (await worker.app.streams.deadLetters.list(fn.name, '', 10)).deadLetters
  const lines = (text: string) => worker.log.filter(line => line.function === fn.name && line.msg === text)
  return { fn, worker, calls, deadLetters, lines }
}

/** Makes every insert of an order fail with an unknown error. */
async function refuseOrders() {
  await space.sql(
    "CREATE TRIGGER refuse BEFORE INSERT ON order_totals FOR EACH ROW SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1665, MESSAGE_TEXT = 'so it is'"
  )
  const end = async () => {
    await space.sql('DROP TRIGGER IF EXISTS refuse')
  }
  onTestFinished(end)
  return end
}

test.each([
  ['a missing table', 'INSERT INTO no_such_table VALUES (1)'],
  ['an invalid statement', 'INSERT INTO'],
  ['a value out of range', 'INSERT INTO orders (order_id, amount) VALUES (1, 1e30)'],
  ['an unknown error', "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1030, MESSAGE_TEXT = 'so it is'"]
])('while MySQL accepts orders, %s is a failure of the message', async (_what, sql) => {
  const { fn, deadLetters, lines } = await callEach(mysql => mysql.rows(sql, []))
  await fn.add(1)
  await until('it is a dead letter', async () => (await deadLetters()).length === 1)
  expect(lines('the function waits for a store that refuses writes')).toEqual([])
})

test('a locked row does not count as an outage of MySQL', async () => {
  const { fn, deadLetters } = await callEach(mysql => mysql.rows('INSERT INTO no_such_table VALUES (1)', []))
  const holder = await connectTo(space)
  onTestFinished(() => holder.destroy())
  await holder.query('SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE')
  await holder.query('START TRANSACTION')
  await holder.query('SELECT * FROM orders FOR UPDATE')
  await holder.query('SELECT * FROM order_totals FOR UPDATE')
  await fn.add(1)
  await until('it is a dead letter', async () => (await deadLetters()).length === 1)
})

test('messages that a handler reports as failed because of an outage wait and spend no attempt', async () => {
  const { fn, calls, deadLetters, lines } = await callEach(async (mysql, n) => {
    if (n > 1)
      await mysql.rows('INSERT INTO order_totals (slot) VALUES (?) ON DUPLICATE KEY UPDATE slot = slot', [-n])
  })
  const end = await refuseOrders()
  for (const n of [1, 2, 3]) await fn.add(n)
  await until('it waits', () => lines('the function waits for a store that refuses writes').length === 1)
  await until('it has run several times', () => Math.max(...calls.values()) > 4)
  expect(await deadLetters()).toEqual([])
  await end()
  await fn.settled()
  expect([calls.get(1), await deadLetters()]).toEqual([1, []])
  expect(lines('the function waits for a store that refuses writes')).toHaveLength(1)
  expect(lines('the function continues')).toHaveLength(1)
})

test('a function that uses all its connections delays no order, and reports the wait for a connection', async () => {
  const enough = Promise.withResolvers<void>()
  const { fn, worker, deadLetters, lines } = await callEach(
    mysql => mysql.transaction(() => enough.promise),
    { batch: { size: 1, window: 0 }, concurrency: 4, timeout: 60_000 },
    // On a busy machine, an order may need more than a shorter limit.
    { DB_POOL_SIZE: 3, DB_FUNCTION_POOL_SIZE: 2, STORE_TIMEOUT_MS: 1000 }
  )
  // This runs before the worker closes, which would wait for the transactions.
  onTestFinished(() => enough.resolve())
  for (const n of [1, 2, 3, 4]) await fn.add(n)
  await until('it waits', () => lines('the function waits for a free connection').length === 1)
  const api = await useApp(space, 'api')
  for (const order_id of ['a', 'b', 'c']) {
    expect((await api.post({ order_id, amount: 100 })).statusCode).toBe(202)
    await until(
      `${order_id} is completed`,
      async () => (await api.call(`/orders/${order_id}`)).json().status === 'completed',
      10_000
    )
  }
  expect(lines('the function waits for a store that refuses writes')).toEqual([])
  expect(
    worker.log.filter(({ function: name, level }) => name === 'process-orders' && Number(level) > 30)
  ).toEqual([])
  enough.resolve()
  await fn.settled()
  expect(await deadLetters()).toEqual([])
}, 60_000)

test('a slow statement of one function does not make MySQL unavailable for other functions', async () => {
  const { fn, worker, deadLetters } = await callEach(
    mysql => mysql.rows('DO SLEEP(20)', []),
    {},
    // On a busy machine, a probe may take longer than the shortest timeouts.
    { STORE_TIMEOUT_MS: 1500 }
  )
  await fn.add(1)
  await until('it is a dead letter', async () => (await deadLetters()).length === 1, 40_000)
  expect(worker.log.filter(({ msg }) => msg === 'mysql is not available')).toEqual([])
}, 60_000)
