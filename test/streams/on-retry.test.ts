import { expect, test } from 'vitest'
import { until, useSpace } from '../harness/space.ts'
import { makeFunction, useWorker } from './functions.ts'

const space = await useSpace()

test('a retry is reported to onRetry with its cause, whether onRetry fails or not', async () => {
  const reported: [number, string][] = []
  const fn = makeFunction(
    space,
    async ([message]) => {
      if (message && message.attempt < 3) throw new Error(`bad ${message.attempt}`)
      return undefined
    },
    {
      retry: { attempts: 3, base: 1, max: 1 },
      onRetry: async failed => {
        for (const { message, cause } of failed) reported.push([message.attempt, cause.message])
        if (reported.length === 1) throw new Error('cannot be reported')
      }
    }
  )
  await fn.add(1)
  const { log } = await useWorker(space, fn.definition)
  await fn.settled()
  await until('it has succeeded', () => reported.length === 2)
  expect(reported).toEqual([
    [1, 'bad 1'],
    [2, 'bad 2']
  ])
  expect(log.filter(({ msg }) => msg === 'onRetry failed')).toHaveLength(1)
})
