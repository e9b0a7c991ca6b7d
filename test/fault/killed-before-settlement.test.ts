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

test('I1, I4: an order whose worker is killed between commit and settlement has one row and one event, and counts once', {
  timeout: byLength(90_000, 600_000)
}, async () => {
  const api = await startService(space, 'api', { ADMIN_TOKEN, ...PATIENT })
  const proxy = await startProxy(Number(space.env.REDIS_PORT))
  const throughProxy = { REDIS_PORT: String(proxy.port), LEASE_MS: '1000', ...PATIENT }
  const ids: string[] = []

  for (let round = 0; round < byLength(2, 20); round++) {
    // All of these orders fit into one batch of the worker.
    const own = idsOf(`cut-${round}`, 100)
    await inParallel(own, 32, async id => {
      expect((await send(api.url, id)).status).toBe(202)
    })
    const published = await eventIds(space)
    ids.push(...own)
    const reached = proxy.holdAt(settle)
    const killed = await startService(space, 'worker', throughProxy, 'live')
    await reached
    // The rows are committed, but no message is settled and no event is published.
    expect(await completedIds(space)).toHaveLength(ids.length)
    expect(await space.redis.xlen(queue)).toBe(own.length)
    expect(await eventIds(space)).toEqual(published)
    expect((await killed.end('SIGKILL')).signal).toBe('SIGKILL')
    proxy.release()

    const successor = await startService(space, 'worker', throughProxy)
    expect(await untilAtRest(api)).toMatchObject({
      accepted: ids.length,
      duplicates: 0,
      completed: ids.length,
      dead_letters: 0
    })
    expect((await successor.end('SIGTERM')).code).toBe(0)
  }
  await expectCompleted(space, ids)
  // Messages that were not settled have no event yet, so no event is repeated.
  expect(await eventIds(space)).toHaveLength(ids.length)
})
