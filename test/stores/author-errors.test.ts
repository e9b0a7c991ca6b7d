import { afterAll, expect, test } from 'vitest'
import { Contention, DuplicateKey, StoreRefused, StoreUnavailable } from '../../src/stores/errors.ts'
import { TerminalError } from '../../src/streams/function.ts'
import { openApp, useApp } from '../harness/app.ts'
import { NOWHERE, until, useSpace } from '../harness/space.ts'
import { makeFunction, useWorker } from '../streams/functions.ts'

const space = await useSpace()
const { app, close } = await openApp(space, 'worker')
afterAll(close)
await until('the stores are up', () => app.stores.redis.up() && app.stores.mysql.availability.up)
await space.sql('CREATE TABLE own (id INT PRIMARY KEY, n INT NOT NULL DEFAULT 0)')

/** Errors that libraries and authors throw. Each looks in some way like an error of a store. */
const thrown = await Promise.all([
  new TerminalError('out-of-stock', 'There is none left.'),
  new TypeError('x is not a function'),
  fetch(`http://127.0.0.1:${NOWHERE}`).catch(error => error),
  fetch('http://127.0.0.1:9', { signal: AbortSignal.abort() }).catch(error => error),
  Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', errno: -111, fatal: true }),
  Object.assign(new Error('another database says so'), { errno: 1040, sqlState: '08004' }),
  Object.assign(new Error('NOAUTH so says another Redis'), { name: 'ReplyError' }),
  'a text',
  undefined
])

test.each(thrown.map(error => [error]))(
  'an error that no store has caused passes through a store call unchanged: %s',
  async error => {
    const fail = async () => {
      throw error
    }
    const inMysql = app.stores.mysql.transaction(async ({ run }) => {
      await run('INSERT INTO own (id) VALUES (1)', [])
      await fail()
    })
    await expect(inMysql.catch(caught => ({ caught }))).resolves.toEqual({ caught: error })
    expect(await app.stores.mysql.rows('SELECT * FROM own', [])).toEqual([])
    const inRedis = app.stores.redis.run(async client => {
      await client.ping()
      await fail()
    })
    await expect(inRedis.catch(caught => ({ caught }))).resolves.toEqual({ caught: error })
    expect([app.stores.mysql.availability.up, app.stores.redis.up()]).toEqual([true, true])
  }
)

test('code that catches an error inside a transaction or a call gets an error class of the store', async () => {
  const kinds = await app.stores.mysql.transaction(async ({ run }) => {
    const kindOf = (sql: string) =>
      run(sql, []).then(
        () => undefined,
        error => error.constructor
      )
    await run('INSERT INTO own (id) VALUES (1)', [])
    // A duplicate row does not end the transaction.
    return [await kindOf('INSERT INTO own (id) VALUES (1)'), await kindOf('UPDATE own SET n = 1')]
  })
  expect(kinds).toEqual([DuplicateKey, undefined])
  expect(await app.stores.mysql.rows('SELECT id, n FROM own', [])).toEqual([{ id: 1, n: 1 }])
  await space.sql('DELETE FROM own')
  const key = `{${space.env.KEY_PREFIX}:0}:author`
  const refused = await app.stores.redis.run(client =>
    client.eval("return redis.error_reply('OOM so it is')", 0, key).catch(error => error)
  )
  expect(refused).toBeInstanceOf(StoreRefused)
  const [piped] =
    (await app.stores.redis.run(client => client.pipeline().evalsha('0'.repeat(40), 0).exec())) ?? []
  expect(piped?.[0]?.name).toBe('ScriptMissing')
})

test('a transaction that fails in a deadlock runs again, even if its own code catches the error', async () => {
  let tries = 0
  await app.stores.mysql
    .transaction(async ({ run }) => {
      tries++
      await run('INSERT INTO own (id) VALUES (1)', [])
      const lose = run("SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'deadlock'", [])
      if (tries === 1) await expect(lose).rejects.toBeInstanceOf(Contention)
      else await lose.catch(() => {})
      if (tries === 1)
        await expect(run('INSERT INTO own (id) VALUES (2)', [])).rejects.toBeInstanceOf(Contention)
    })
    .catch(error => expect(error).toBeInstanceOf(Contention))
  expect(tries).toBe(4)
  expect(await app.stores.mysql.rows('SELECT * FROM own', [])).toEqual([])
})

test('a statement after the end of its transaction is refused', async () => {
  const run = await app.stores.mysql.transaction(async transaction => transaction.run)
  await expect(run('INSERT INTO own (id) VALUES (1)', [])).rejects.toThrow('has ended')
  expect(await app.stores.mysql.rows('SELECT * FROM own', [])).toEqual([])
})

test('a transaction without an answer fails and writes nothing, even if its own code catches the error', async () => {
  const { mysql } = (await useApp(space, 'api', { STORE_TIMEOUT_MS: 300 })).app.stores
  await until('MySQL is up', () => mysql.availability.up)
  const settled = mysql.transaction(
    ({ run }) => Promise.allSettled([run('DO SLEEP(60)', []), run('INSERT INTO own (id) VALUES (1)', [])]),
    'short'
  )
  await expect(settled).rejects.toBeInstanceOf(StoreUnavailable)
  expect(await space.sql('SELECT * FROM own')).toEqual([])
})

test('a TerminalError inside a store call makes a dead letter with its code, at the first attempt', async () => {
  const fn = makeFunction(
    space,
    async ([message]) => {
      const fail = async () => {
        throw new TerminalError('out-of-stock', 'There is none left.')
      }
      if (message?.body.n === 1) await worker.app.stores.mysql.transaction(fail)
      else await worker.app.stores.redis.run(fail)
      return undefined
    },
    { batch: { size: 1, window: 0 } }
  )
  const worker = await useWorker(space, fn.definition)
  for (const n of [1, 2]) await fn.add(n)
  await fn.settled()
  const deadLetters = await until('both are dead letters', async () => {
    const page = await worker.app.streams.deadLetters.list(fn.name, '', 10)
    return page.deadLetters.length === 2 && page.deadLetters
  })
  for (const deadLetter of deadLetters)
    expect(deadLetter).toMatchObject({ code: 'out-of-stock', attempts: 1 })
  expect(worker.log.filter(({ msg }) => /is not available/.test(String(msg)))).toEqual([])
})
