import { expect, onTestFinished, test, vi } from 'vitest'
import { createRedisClock } from '../../src/stores/redis/clock.ts'

test('the clock of Redis advances with the local clock, and is unknown without a reading in the last minute', () => {
  let local = 500
  vi.spyOn(performance, 'now').mockImplementation(() => local)
  onTestFinished(() => {
    vi.restoreAllMocks()
  })
  const clock = createRedisClock()
  expect(clock.now()).toBeUndefined()
  clock.saw(1_769_860_800_000)
  expect(clock.now()).toBe(1_769_860_800_000)
  local += 59_999.9
  expect(clock.now()).toBe(1_769_860_859_999)
  local += 0.1
  expect(clock.now()).toBeUndefined()
  clock.saw(1_769_860_900_000)
  expect(clock.now()).toBe(1_769_860_900_000)
})
