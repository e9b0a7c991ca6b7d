import { expect, test } from 'vitest'
import { TerminalError } from '../../src/streams/function.ts'
import { useApp } from '../harness/app.ts'
import { until, useOtherPrefix, useSpace } from '../harness/space.ts'
import { makeFunction } from './functions.ts'

const space = await useSpace()

/** Adds dead letters as a function would. */
const addDeadLetters = (key: string, count: number) =>
  space.redis.eval(
    `for i = 1, ${count} do redis.call('XADD', KEYS[1], '*', 'id', '7-' .. i, 'taken', '1', 'first_at', '1') end return ${count}`,
    1,
    key
  )

test('a redrive sends dead letters one by one at the given rate, over all partitions', async () => {
  const KEY_PREFIX = await useOtherPrefix(space, 'rate')
  const { keys, streams } = (await useApp(space, 'api', { KEY_PREFIX, STREAM_PARTITIONS: 2 })).app
  for (const partition of [0, 1]) await addDeadLetters(keys.dead('gone', partition), 2)
  expect(await streams.deadLetters.redrive('gone', undefined, 1)).toMatchObject({ count: 4 })
  const dues = await Promise.all(
    [0, 1].map(async partition => {
      const found = await space.redis.zrange(keys.retry('gone', partition), '0', '-1', 'WITHSCORES')
      return found.filter((_, index) => index % 2 === 1).map(Number)
    })
  )
  const [first, second, third, fourth] = dues.flat() as [number, number, number, number]
  expect([second - first, fourth - third]).toEqual([1000, 1000])
  expect(third - second).toBeGreaterThanOrEqual(1000)
})

test('pages list each dead letter once, and a redrive takes any number of dead letters', async () => {
  const env = { KEY_PREFIX: await useOtherPrefix(space, 'many'), STREAM_PARTITIONS: 2 }
  const { keys, streams } = (await useApp(space, 'api', env)).app
  for (const partition of [0, 1]) await addDeadLetters(keys.dead('gone', partition), 600)
  const ids: string[] = []
  for (let after = ''; ; ) {
    const { deadLetters, next } = await streams.deadLetters.list('gone', after, 250)
    ids.push(...deadLetters.map(({ id }) => id))
    if (next === '') break
    after = next
  }
  expect([ids.length, new Set(ids).size]).toEqual([1200, 1200])
  expect(await streams.deadLetters.redrive('gone', undefined, 1000)).toMatchObject({ count: 1200 })
})

test('a redrive takes each dead letter once, and only dead letters that exist when the redrive begins', async () => {
  const env = { KEY_PREFIX: await useOtherPrefix(space, 'again'), STREAM_PARTITIONS: 2 }
  const { keys, streams } = (await useApp(space, 'api', env)).app
  for (const partition of [0, 1]) await addDeadLetters(keys.dead('gone', partition), 2000)
  let over = false
  let again = 0
  /** Adds new dead letters during the redrive, as messages that fail again would. */
  const failAgain = async () => {
    await until(
      'some are redriven',
      async () => over || (await space.redis.exists(keys.retry('gone', 0))) > 0
    )
    while (!over)
      for (const partition of [0, 1]) again += Number(await addDeadLetters(keys.dead('gone', partition), 50))
  }
  const failing = failAgain()
  expect(await streams.deadLetters.redrive('gone', undefined, 1000)).toMatchObject({ count: 4000 })
  over = true
  await failing
  const left = await Promise.all([0, 1].map(partition => space.redis.xlen(keys.dead('gone', partition))))
  expect((left[0] as number) + (left[1] as number)).toBe(again)
})

test('the stream of discarded dead letters keeps the newest ones', async () => {
  const { keys, streams } = (await useApp(space, 'api')).app
  await addDeadLetters(keys.discarded('gone', 0), 10_500)
  await addDeadLetters(keys.dead('gone', 0), 1)
  const { deadLetters } = await streams.deadLetters.list('gone', '', 10)
  const ids = deadLetters.map(({ id }) => id)
  expect(await streams.deadLetters.discard('gone', ids, 'a test')).toMatchObject({ count: 1 })
  expect(await space.redis.xlen(keys.discarded('gone', 0))).toBeLessThan(10_500)
})

test('a message whose onDead throws becomes a dead letter, and does not delay other messages', async () => {
  const fn = makeFunction(space, async () => undefined, {
    retry: { attempts: 2, base: 1, max: 1 },
    handler: async messages => ({
      failed: messages.map(message => ({ message, cause: new TerminalError('no', 'never') }))
    }),
    onDead: async deadLetters => {
      if (deadLetters.some(({ message }) => (message.body as { n: number }).n === 1))
        throw new Error('not this one')
      return {}
    }
  })
  for (const n of [1, 2]) await fn.add(n)
  const { app } = await useApp(space, 'worker', { LEASE_MS: 600_000 }, app => app.consume(fn.definition))
  const deadLetters = await until('both are dead letters', async () => {
    const { deadLetters } = await app.streams.deadLetters.list(fn.name, '', 10)
    return deadLetters.length === 2 && deadLetters
  })
  expect(deadLetters).toMatchObject([
    { data: '{"n":2}', code: 'no', attempts: 1 },
    { data: '{"n":1}', code: 'no', attempts: 4 }
  ])
})
