import { Type } from 'typebox'
import { expect, test } from 'vitest'
import type { App } from '../../src/app.ts'
import { useFunction } from './function.ts'

/** Publishes each number to another stream. Throws at a number below 0. */
async function handOn(app: App) {
  app.consume({
    name: 'hand-on',
    stream: 'numbers',
    schema: Type.Object({ n: Type.Integer() }),
    handler: async messages => {
      for (const { body } of messages) {
        if (body.n < 0) throw new Error(`${body.n} is below 0`)
        await app.publish('more-numbers', body)
      }
    }
  })
}

test('useFunction returns what a function has published in every partition', async () => {
  const fn = await useFunction(handOn, { env: { STREAM_PARTITIONS: 3 } })
  expect(await fn.published('more-numbers')).toEqual([])
  for (const key of ['a', 'b', 'c', 'd']) await fn.app.publish('numbers', { n: 1 }, { key })
  await fn.settled()
  expect(await fn.published('more-numbers')).toEqual([1, 1, 1, 1].map(n => ({ n })))
})

test('settled reports the error of a handler that keeps failing', async () => {
  const fn = await useFunction(handOn)
  await fn.app.publish('numbers', { n: -7 })
  await expect(fn.settled(1000)).rejects.toThrow(/hand-on has settled all messages.*-7 is below 0/s)
})
