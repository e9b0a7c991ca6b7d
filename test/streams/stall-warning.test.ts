import { expect, test } from 'vitest'
import { useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'
import { makeFunction } from './functions.ts'

const space = await useSpace()
const LINE = 'the event loop stood still, so leases were not renewed and messages may be delivered again'

/** The time for which the handler blocks the event loop, in milliseconds. */
function block(ms: number) {
  const end = performance.now() + ms
  while (performance.now() < end);
}

test('a handler that blocks the event loop for longer than half a lease is reported once a minute', async () => {
  const seen: number[] = []
  const fn = makeFunction(space, async messages => {
    block(1000)
    seen.push(...messages.map(({ body }) => body.n))
    return undefined
  })
  const { log } = await useApp(space, 'worker', { LEASE_MS: 500 }, app => app.consume(fn.definition))
  const own = () => log.filter(({ msg, function: name }) => msg === LINE && name === fn.name)
  for (const n of [1, 2]) {
    await fn.add(n)
    await until('it is done', () => seen.includes(n))
    await fn.settled()
  }
  expect(own()).toEqual([expect.objectContaining({ lease_ms: 500, stall_ms: expect.any(Number) })])
  expect(own()[0]?.stall_ms).toBeGreaterThan(250)
})
