import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { startService } from '../harness/service.ts'
import { PATIENT, until } from '../harness/space.ts'
import { appendOrders, idsOf } from './bulk.ts'
import { ADMIN_TOKEN, keyOf, queryRows, untilAtRest } from './evidence.ts'
import { byLength } from './long.ts'
import { useOwnStores } from './own-stores.ts'

const stores = await useOwnStores()

const [SMALL, LARGE] = byLength([20_000, 60_000], [50_000, 1_000_000])
const ALLOWED = 1.1

/** With a large heap, most of the peak would be garbage that is not collected yet. */
const NODE_OPTIONS = '--max-old-space-size=64'

/** Runs a worker with a small heap until it has drained `count` orders. Returns its peak resident memory in MB. */
async function drain(count: number): Promise<number> {
  const space = await stores.space()
  await appendOrders(space, idsOf('drain', count))
  const worker = await startService(space, 'worker', { NODE_OPTIONS, ...PATIENT })
  const began = performance.now()
  await until(
    'the backlog is drained',
    async () => (await space.redis.xlen(keyOf(space, 'placed'))) === 0,
    900_000
  )
  const seconds = (performance.now() - began) / 1000
  const status = readFileSync(`/proc/${worker.pid}/status`, 'utf8')
  const peak = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
  console.info(
    `a worker that drained ${count} orders: peak ${peak.toFixed(0)} MB, ${Math.round(count / seconds)} orders/s`
  )
  expect((await worker.end('SIGTERM')).code).toBe(0)

  const api = await startService(space, 'api', { ADMIN_TOKEN, ...PATIENT })
  expect(await untilAtRest(api)).toMatchObject({ accepted: count, completed: count })
  expect(await queryRows(space, 'SELECT COUNT(*) AS n FROM orders')).toEqual([{ n: count }])
  await api.end('SIGTERM')
  // The documents take much memory.
  await space.redis.flushdb()
  return peak
}

// Only Linux reports the peak of the resident memory in /proc.
test.runIf(process.platform === 'linux')(
  'I7: the memory of a worker does not depend on the backlog',
  {
    timeout: byLength(180_000, 1_800_000)
  },
  async () => {
    const small = await drain(SMALL)
    const large = await drain(LARGE)
    expect(large).toBeLessThanOrEqual(small * ALLOWED)
  }
)
