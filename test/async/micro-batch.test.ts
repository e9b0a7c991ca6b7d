import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createMicroBatch } from '../../src/async/micro-batch.ts'
import { until } from '../harness/space.ts'

test('every caller gets the answer to its own item, and calls keep the limits of size and number', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 0, max: 60 }),
      async (size, inFlight, count) => {
        let running = 0
        const double = createMicroBatch<number, number>({
          size,
          inFlight,
          run: async items => {
            expect(items.length).toBeLessThanOrEqual(size)
            expect(++running).toBeLessThanOrEqual(inFlight)
            await new Promise(setImmediate)
            running--
            return items.map(item => item * 2)
          }
        })
        const items = Array.from({ length: count }, (_, index) => index)
        expect(await Promise.all(items.map(double))).toEqual(items.map(item => item * 2))
      }
    ),
    { numRuns: 50 }
  )
})

test('items that arrive during a call go into a later one', async () => {
  const calls: string[][] = []
  let release = () => {}
  const ask = createMicroBatch<string, string>({
    size: 10,
    inFlight: 1,
    run: async items => {
      calls.push(items)
      await new Promise<void>(resolve => {
        release = resolve
      })
      return items
    }
  })
  const first = ask('a')
  await until('the first call is in flight', () => calls.length === 1)
  const second = ask('b')
  const third = ask('c')
  release()
  await first
  await until('the second call is in flight', () => calls.length === 2)
  release()
  await Promise.all([second, third])
  expect(calls).toEqual([['a'], ['b', 'c']])
})

test('the first 32 items begin a call at once, and the rest begin one at the end of the turn', async () => {
  const calls: number[] = []
  const ask = createMicroBatch<number, number>({
    size: 100,
    inFlight: 2,
    run: async items => {
      calls.push(items.length)
      await new Promise(setImmediate)
      return items
    }
  })
  const asked = Array.from({ length: 50 }, (_, index) => ask(index))
  expect(calls).toEqual([32])
  await Promise.all(asked)
  expect(calls).toEqual([32, 18])
})

test('half as many items as in the running call begin a second call, and fewer items wait for an answer', async () => {
  const calls: number[] = []
  const releases: (() => void)[] = []
  const ask = createMicroBatch<number, number>({
    size: 100,
    inFlight: 3,
    run: async items => {
      calls.push(items.length)
      await new Promise<void>(resolve => releases.push(resolve))
      return items
    }
  })
  const asked: Promise<number>[] = []
  const askFor = async (count: number) => {
    asked.push(...Array.from({ length: count }, (_, index) => ask(index)))
    await new Promise(setImmediate)
  }
  await askFor(10)
  await askFor(4)
  expect(calls).toEqual([10])
  await askFor(1)
  expect(calls).toEqual([10, 5])
  await askFor(7)
  expect(calls).toEqual([10, 5])
  releases[0]?.()
  await until('those that waited go with the next answer', () => calls.length === 3)
  for (const release of releases) release()
  await Promise.all(asked)
  expect(calls).toEqual([10, 5, 7])
})

test('a call that fails rejects only its own items', async () => {
  const ask = createMicroBatch<string, string>({
    size: 1,
    inFlight: 1,
    run: async ([item]) => {
      if (item === 'bad') throw new Error('no')
      return [item as string]
    }
  })
  const results = await Promise.allSettled(['good', 'bad', 'good'].map(ask))
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
})
