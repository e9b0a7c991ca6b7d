import { beforeAll, expect, test, vi } from 'vitest'
import { DEFAULT_TENANT } from '../../../schema/http/key.ts'
import { createAppend } from '../../../src/orders/accept/append.ts'
import { toCandidate } from '../../../src/orders/accept/candidate.ts'
import { createWatermarks } from '../../../src/orders/audit/watermarks.ts'
import { OrderConflict } from '../../../src/orders/errors.ts'
import { complete } from '../../../src/orders/pricing.ts'
import { StoreUnavailable } from '../../../src/stores/errors.ts'
import { openApp, type TestApp, useApp } from '../../harness/app.ts'
import { useSpace } from '../../harness/space.ts'
import { writeRow } from '../write-row.ts'

const space = await useSpace()
let api: TestApp

beforeAll(async () => {
  api = await openApp(space, 'api')
  return api.close
})

/** Adds an order that MySQL has and Redis has forgotten. */
async function addRow(order_id: string): Promise<void> {
  const placed = { order_id, amount: '1', tax_rate: '0.18', accepted_at: '2026-01-31T12:00:00.000Z' }
  await writeRow(api, complete(placed, '2026-01-31T12:00:01.000Z'))
}

const accept = (order_id: string, amount = 1) =>
  api.app.orders.intake.accept(
    { order_id, amount },
    { tenant: DEFAULT_TENANT, requestId: 'r', traceparent: '' }
  )

test('I2: orders of one batch each get their own answer, whichever store knows them', async () => {
  await addRow('row')
  const asked = [
    accept('row'),
    accept('a'),
    accept('row', 2),
    accept('a', 2),
    accept('b'),
    accept('b'),
    accept('row')
  ]
  const answers = (await Promise.allSettled(asked)).map(answer =>
    answer.status === 'fulfilled' ? answer.value.durability : answer.reason
  )
  const conflict = expect.any(OrderConflict)
  expect(answers).toEqual([undefined, 'fsync', conflict, conflict, 'fsync', undefined, undefined])
  expect(await space.redis.xlen(api.app.keys.stream('placed', 0))).toBe(2)
})

test('I2: a query that fails in MySQL is sent again before an order counts as new', async () => {
  await addRow('asked-twice')
  const rows = vi.spyOn(api.app.stores.mysql, 'rows').mockRejectedValueOnce(new StoreUnavailable('mysql'))
  expect((await accept('asked-twice')).durability).toBeUndefined()
  rows.mockRestore()
})

test('I1: a call that Redis runs after its deadline accepts nothing and fails', async () => {
  const { app } = await useApp(space, 'api')
  const { keys } = app
  const { redis } = app.stores
  const append = createAppend({
    redis,
    keys,
    watermarks: createWatermarks(1),
    timeout: -60_000,
    maxBacklog: 10,
    minReplicas: 0,
    maxBacklogBytes: 1_048_576
  })
  const origin = { tenant: DEFAULT_TENANT, requestId: '', traceparent: '' }
  // With the negative timeout, another order would be too old.
  const inTenMinutes = new Date(Date.now() + 600_000).toISOString()
  const late = toCandidate({ order_id: 'late', amount: 1 }, '0.18', origin, inTenMinutes)
  const before = await space.redis.xlen(keys.stream('placed', 0))
  await expect(append([late], 0)).rejects.toThrow('after its deadline')
  expect(await space.redis.xlen(keys.stream('placed', 0))).toBe(before)
  expect(await space.redis.exists(keys.document('late'))).toBe(0)
})
