import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { inParallel, startService } from '../harness/service.ts'
import { PATIENT, useSpace } from '../harness/space.ts'
import { idsOf } from './bulk.ts'
import { ADMIN_TOKEN, completedIds, eventIds, expectCompleted, keyOf, untilAtRest } from './evidence.ts'
import { send } from './load.ts'
import { byLength } from './long.ts'
import { startProxy } from './proxy.ts'

const space = await useSpace()
const queue = keyOf(space, 'placed')
const settle = createHash('sha1')
  .update(readFileSync(new URL('../../src/streams/group/settle.lua', import.meta.url)))
  .digest('hex')

test('I1, I4: a worker killed after its commit and before its settle: one row, one set of totals, one event', {
  timeout: byLength(90_000, 600_000)
}, async () => {
  const api = await startService(space, 'api', { ADMIN_TOKEN, ...PATIENT })
  const proxy = await startProxy(Number(space.env.REDIS_PORT))
  const throughProxy = { REDIS_PORT: String(proxy.port), LEASE_MS: '1000', ...PATIENT }
  const ids: string[] = []

  for (let round = 0; round < byLength(2, 20); round++) {
    // No more than a batch of the worker holds.
    const own = idsOf(`cut-${round}`, 100)
    await inParallel(own, 32, async id => {
      expect((await send(api.url, id)).status).toBe(202)
    })
    const told = await eventIds(space)
    ids.push(...own)
    const reached = proxy.holdAt(settle)
    const killed = await startService(space, 'worker', throughProxy, 'live')
    await reached
    // The rows are committed, and Redis has not heard of it: each message is there, and nothing more is told.
    expect(await completedIds(space)).toHaveLength(ids.length)
    expect(await space.redis.xlen(queue)).toBe(own.length)
    expect(await eventIds(space)).toEqual(told)
    expect((await killed.end('SIGKILL')).signal).toBe('SIGKILL')
    proxy.release()

    const heir = await startService(space, 'worker', throughProxy)
    expect(await untilAtRest(api)).toMatchObject({
      accepted: ids.length,
      duplicates: 0,
      completed: ids.length,
      dead_letters: 0
    })
    expect((await heir.end('SIGTERM')).code).toBe(0)
  }
  await expectCompleted(space, ids)
  // What was never settled was never told: here not even the same event twice.
  expect(await eventIds(space)).toHaveLength(ids.length)
})
