import { setImmediate as turn } from 'node:timers/promises'
import { pino } from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import { createBackground } from '../../src/async/background.ts'
import { StoreUnavailable } from '../../src/stores/errors.ts'
import { judgeTaskFailure } from '../../src/stores/task-failure.ts'
import { until } from '../harness/space.ts'

/** Starts a task and collects its log. The task stops when the running test ends. */
function start(run: () => Promise<boolean>, every: number) {
  const lines: string[] = []
  const background = createBackground(
    { name: 'task', every, run },
    pino({}, { write: line => lines.push(line) }),
    judgeTaskFailure
  )
  background.start()
  onTestFinished(() => background.stop())
  return { background, lines }
}

test('a task that fails runs again, and logs no error if a store is unavailable', async () => {
  let runs = 0
  const { lines } = start(async () => {
    if (++runs === 1) throw new StoreUnavailable('redis')
    if (runs === 2) throw new RangeError('a fault of the task')
    return false
  }, 1)
  await until('another run', () => runs > 3)
  expect(lines.map(line => JSON.parse(line))).toEqual([
    expect.objectContaining({ task: 'task', err: expect.objectContaining({ type: 'RangeError' }) })
  ])
})

test('a task with more to do continues without a pause', async () => {
  let runs = 0
  start(async () => ++runs < 5, 3_600_000)
  await until('the last run', () => runs === 5)
})

test('a stop waits for the run in progress, but not for the pause after the run', async () => {
  const { promise: over, resolve: end } = Promise.withResolvers<boolean>()
  const { background } = start(() => over, 3_600_000)
  let stopped = false
  const stop = background.stop().then(() => {
    stopped = true
  })
  await turn()
  expect(stopped).toBe(false)
  end(false)
  await stop
})
