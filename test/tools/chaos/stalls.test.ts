import { setTimeout as delay } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { createStallWatch } from '../../../tools/chaos/stalls.ts'
import { useOwnStores } from '../../fault/own-stores.ts'
import { type Space, until } from '../../harness/space.ts'
import { accessOf } from './access.ts'

const stores = await useOwnStores()

const targets = [
  ['redis', stores.redis],
  ['mariadb', stores.mysql]
] as const

const hasWritten = async (space: Space) => {
  const tables = await space.sql("SHOW TABLES LIKE 'chaos_look'")
  return tables.length > 0 && (await space.redis.exists('chaos-look')) === 1
}

/** Starts a watch for the running test. `lastedAt` returns true if a recorded stall of a store includes a moment. */
function startWatch(space: Space) {
  const { stalls, run } = createStallWatch(accessOf(space))
  const end = new AbortController()
  const watching = run(end.signal)
  onTestFinished(async () => {
    end.abort()
    await watching
  })
  const lastedAt = (target: string, time: number) =>
    stalls.some(stall => stall.target === target && stall.began < time && stall.ended > time)
  return { stalls, lastedAt }
}

test.each(targets)(
  'a %s that hangs or is killed counts as a stall until it answers again',
  async (target, store) => {
    const space = await stores.space()
    const { stalls, lastedAt } = startWatch(space)
    await until('the watch has written to both', () => hasWritten(space))

    for (const harm of [store.freeze, store.kill]) {
      await harm()
      await delay(500)
      const lastMoment = performance.now()
      await store.start()
      await until('it is recorded', () => lastedAt(target, lastMoment))
    }
    expect(stalls.every(({ began, ended }) => began < ended)).toBe(true)
  }
)

// The watch also covers the opening of a connection, because a store that hangs then hangs for the service, too.
test.each(targets)('a %s that hangs when the watch begins counts as a stall', async (target, store) => {
  const space = await stores.space()
  await store.freeze()
  const { lastedAt } = startWatch(space)
  await delay(500)
  const lastMoment = performance.now()
  await store.start()
  await until('it is recorded', () => lastedAt(target, lastMoment))
})

test('a machine that freezes between two checks counts as a stall of both stores', async () => {
  const space = await stores.space()
  const { lastedAt } = startWatch(space)
  await until('the watch has written to both', () => hasWritten(space))
  // Everything runs on one machine, so this process freezes like all other processes.
  const began = performance.now()
  while (performance.now() - began < 500);
  await until('it is recorded', () => targets.every(([target]) => lastedAt(target, began + 250)))
})
