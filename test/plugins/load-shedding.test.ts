import { expect, test } from 'vitest'
import { useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'

const space = await useSpace()

/** Blocks this process for `ms` milliseconds. */
const block = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

const OPEN = ['/health', '/health/live', '/health/ready', '/metrics']

test('the service sheds requests while its event loop is slow, except those for health and metrics', async () => {
  const { call } = await useApp(space, 'api', { MAX_EVENT_LOOP_DELAY_MS: 20 })
  const [refused, open] = await until('requests are shed', async () => {
    block(500)
    const before = await call('/orders/none')
    const open: number[] = []
    for (const url of OPEN) open.push((await call(url)).statusCode)
    const after = await call('/orders/none')
    return before.statusCode === 503 && after.statusCode === 503 && ([before, open] as const)
  })
  expect(refused.headers).toMatchObject({ 'retry-after': '1', 'x-content-type-options': 'nosniff' })
  expect(refused.json()).toMatchObject({
    type: 'urn:orderstream:problem:overloaded',
    detail: expect.stringContaining('try again')
  })
  expect(open).toEqual(OPEN.map(() => 200))
  await until('requests are served again', async () => (await call('/orders/none')).statusCode === 404)
})

test('MAX_EVENT_LOOP_DELAY_MS=0 turns load shedding off', async () => {
  const { app } = await useApp(space, 'api', { MAX_EVENT_LOOP_DELAY_MS: 0 })
  expect(app.isUnderPressure).toBeUndefined()
})
