import { expect, test } from 'vitest'
import { type Service, startService } from '../harness/service.ts'
import { PATIENT, until, useSpace } from '../harness/space.ts'
import { ADMIN_TOKEN, expectCompleted, keepEvents, keyOf, untilAtRest } from './evidence.ts'
import { latencyOf, startLoad } from './load.ts'
import { byLength } from './long.ts'

const space = await useSpace()
const queue = keyOf(space, 'placed')
const ROUNDS = byLength(5, 100)

/** The process ids of the members of the group, from the names of its consumers: `<host>-<pid>-<random>`. */
async function members(): Promise<number[]> {
  const consumers = (await space.redis.xinfo('CONSUMERS', queue, 'process-orders')) as string[][]
  return consumers.map(fields => Number((fields[1] as string).split('-').at(-2)))
}

/** The orders that a worker has processed, with their outcomes, from its log. */
function outcomes(worker: Service): [id: string, outcome: string][] {
  return worker
    .lines()
    .filter(({ msg }) => msg === 'order processed')
    .map(({ order_id, outcome }) => [order_id as string, outcome as string])
}

test('I8: no order is processed twice while three workers are restarted in turn under load', {
  timeout: ROUNDS * 10_000 + 120_000
}, async () => {
  await keepEvents(space)
  const api = await startService(space, 'api', { ADMIN_TOKEN, ...PATIENT })
  const start = () => startService(space, 'worker', { LOG_LEVEL: 'debug', ...PATIENT })
  const workers = [await start(), await start(), await start()]
  const processed: [string, string][] = []
  const load = startLoad(api.url, 100, 'rolling')

  for (let round = 0; round < ROUNDS; round++) {
    const [worker] = workers.splice(round % 3, 1) as [Service]
    await until('the worker has processed orders', () => outcomes(worker).length > 0)
    expect(await worker.end('SIGTERM')).toEqual({ code: 0, signal: null })
    expect(await members()).not.toContain(worker.pid)
    processed.push(...outcomes(worker))
    workers.splice(round % 3, 0, await start())
  }
  const answers = await load.stop()
  console.info(`POSTs while workers were stopped ${ROUNDS} times: ${JSON.stringify(latencyOf(answers))}`)
  expect(answers.filter(({ status }) => status !== 202)).toEqual([])

  const audit = await untilAtRest(api)
  expect(audit).toMatchObject({ accepted: answers.length, duplicates: 0, completed: answers.length })
  // A worker that has not read a message yet is not a member.
  expect(workers.map(({ pid }) => pid)).toEqual(expect.arrayContaining(await members()))
  for (const worker of workers) {
    expect(await worker.end('SIGTERM')).toEqual({ code: 0, signal: null })
    processed.push(...outcomes(worker))
  }
  expect(await members()).toEqual([])
  // With one log line for each order, no message was delivered to a second worker.
  expect(processed.filter(([, outcome]) => outcome !== 'written')).toEqual([])
  expect(processed).toHaveLength(answers.length)
  const ids = answers.map(({ id }) => id)
  expect(processed.map(([id]) => id).sort()).toEqual(ids.sort())
  await expectCompleted(space, ids)
})
