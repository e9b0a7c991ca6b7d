import { expect, test } from 'vitest'
import { StoreUnavailable } from '../src/stores/errors.ts'
import { useApp } from './app.ts'
import { until, useSpace } from './space.ts'

const space = await useSpace()

test('a task goes on after a store was away, which is no error, and after one, which is logged', async () => {
  const failures = [new StoreUnavailable('mysql'), new Error('odd'), new StoreUnavailable('redis')]
  let runs = 0
  const { log } = await useApp(space, 'api', {}, app =>
    app.repeat({
      name: 'odd',
      every: 1,
      run: async () => {
        const failure = failures[runs++]
        if (failure) throw failure
        return false
      }
    })
  )
  await until('it runs again', () => runs > failures.length)
  expect(log.filter(({ task }) => task === 'odd')).toEqual([
    expect.objectContaining({
      level: 50,
      msg: 'background task failed',
      err: expect.objectContaining({ message: 'odd' })
    })
  ])
})
