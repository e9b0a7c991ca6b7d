import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { fromMysql, fromRedis } from '../../src/stores/driver-errors.ts'
import {
  Contention,
  DuplicateKey,
  GroupExists,
  GroupMissing,
  NotPermitted,
  ReadOnlyReplica,
  ScriptMissing,
  SlotMoved,
  SlotMoving,
  StoreRefused,
  StoreUnavailable,
  UnexplainedStoreError
} from '../../src/stores/errors.ts'
import { useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'

const space = await useSpace()

/** Returns the error of a failing command. */
const failure = async (work: Promise<unknown>) =>
  fromRedis(
    await work.then(
      () => undefined,
      error => error
    )
  )

describe('an error of Redis', () => {
  test('gets its class from the answer of the server', async () => {
    const { redis } = space
    const key = `{${space.env.KEY_PREFIX}:0}:errors`
    expect(await failure(redis.xreadgroup('GROUP', 'g', 'c', 'STREAMS', key, '>'))).toBeInstanceOf(
      GroupMissing
    )
    await redis.xgroup('CREATE', key, 'g', '0', 'MKSTREAM')
    expect(await failure(redis.xgroup('CREATE', key, 'g', '0'))).toBeInstanceOf(GroupExists)
    expect(await failure(redis.evalsha('0'.repeat(40), 0))).toBeInstanceOf(ScriptMissing)
    expect(await failure(redis.get(key))).not.toBeInstanceOf(StoreUnavailable)
    expect(
      await failure(
        redis.eval(
          "return redis.call('XACK', KEYS[1], 'none', '0-0') .. redis.call('XPENDING', KEYS[1], 'none')",
          1,
          key
        )
      )
    ).toBeInstanceOf(GroupMissing)
  })

  test.each([GroupMissing, StoreRefused, StoreUnavailable, DuplicateKey, Contention])(
    'keeps the class that it has: %o',
    type => {
      const error =
        type === StoreRefused || type === StoreUnavailable
          ? new type('redis')
          : new (type as typeof GroupMissing)('x')
      expect(fromRedis(error)).toBe(error)
      expect(fromMysql(error)).toBe(error)
    }
  )
})

describe('an error about the server itself is not a failure of the call', () => {
  test.each([
    ['LOADING', StoreUnavailable],
    ['MASTERDOWN', StoreUnavailable],
    ['CLUSTERDOWN', StoreUnavailable],
    ['TRYAGAIN', SlotMoving],
    ['ASK 3999 127.0.0.1:6381', SlotMoving],
    ['MOVED 3999 127.0.0.1:6381', SlotMoved],
    [
      'UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)',
      ReadOnlyReplica
    ],
    ['BUSY', StoreUnavailable],
    ['NOAUTH', StoreUnavailable],
    ['WRONGPASS', StoreUnavailable],
    ['OOM', StoreRefused],
    ['MISCONF', StoreRefused],
    ['NOPERM', NotPermitted],
    ['NOREPLICAS', StoreRefused],
    ['READONLY', ReadOnlyReplica],
    ['UNBLOCKED', GroupMissing]
  ])('Redis: %s', async (word, type) => {
    const error = await failure(space.redis.eval('return redis.error_reply(ARGV[1])', 0, `${word} so it is`))
    expect(error.constructor).toBe(type)
  })

  test.each([
    [[1205, 1213, 1020], Contention],
    [[1021, 1114, 1290, 1792, 1836], StoreRefused],
    [[1044, 1142, 1143, 1227], NotPermitted],
    [[1047, 1030, 1049, 1146, 1665, 1969], UnexplainedStoreError],
    [[1064], Error],
    [[1040, 1045, 1053, 1129, 1158, 1159, 1203, 1226, 1317, 1927], StoreUnavailable]
  ])('MySQL: %s', async (numbers, type) => {
    for (const number of numbers) {
      const failing = space.sql(
        `SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = ${number}, MESSAGE_TEXT = 'so it is'`
      )
      expect((await failing.catch(fromMysql))?.constructor, String(number)).toBe(type)
    }
  })
})

test('an unknown error does not put the data of its call into the log', async () => {
  const key = `{${space.env.KEY_PREFIX}:0}:errors`
  const errors = [
    await failure(space.redis.eval("return redis.call('INCRBY', KEYS[1], ARGV[1])", 1, key, 'an-order')),
    await space.sql('SELECT ? + no_such_column', ['an-order']).catch(fromMysql)
  ]
  for (const error of errors) {
    expect(error).toBeInstanceOf(Error)
    expect(error).not.toBeInstanceOf(StoreUnavailable)
    expect(inspect(error)).not.toContain('an-order')
  }
})

test('an error in the data is not an error of the store, whatever its error number', async () => {
  for (const state of ['22003', '23000']) {
    const failing = space.sql(`SIGNAL SQLSTATE '${state}' SET MYSQL_ERRNO = 1690, MESSAGE_TEXT = 'so it is'`)
    expect((await failing.catch(fromMysql))?.constructor).toBe(Error)
  }
})

test('a full table counts as a refusal of the store', async () => {
  await space.sql('SET SESSION max_heap_table_size = 16384')
  await space.sql('CREATE TABLE small (x CHAR(255)) ENGINE = MEMORY')
  const full = await space.sql(`INSERT INTO small VALUES ${Array(1000).fill("('')")}`).catch(fromMysql)
  expect(full).toBeInstanceOf(StoreRefused)
  expect(full).toMatchObject({ store: 'mysql' })
})

test('a function on a queue continues after its group is destroyed while batches run', async () => {
  const api = await useApp(space, 'api')
  await useApp(space, 'worker', { LEASE_MS: 1000 })
  const queue = api.app.keys.stream('placed', 0)
  for (let round = 0; round < 10; round++) {
    await Promise.all(
      Array.from({ length: 50 }, (_, n) => api.post({ order_id: `round-${round}-${n}`, amount: 1 }))
    )
    await space.redis.xgroup('DESTROY', queue, 'process-orders').catch(() => {})
  }
  await until('all are settled', async () => (await space.redis.xlen(queue)) === 0)
  // Some orders may have been accepted in MySQL while Redis was slow.
  await until('all are completed', async () => {
    const rows = await space.sql("SELECT 1 FROM orders WHERE status = 'completed'")
    return rows.length === 500
  })
})
