import { expect, test } from 'vitest'
import type { DeadLetter } from '../../schema/http/dead-letter.ts'
import type { LocalServer } from '../../tools/local/server.ts'
import { type Service, startService } from '../harness/service.ts'
import { PATIENT, until, useSpace } from '../harness/space.ts'
import { ADMIN_TOKEN, keyOf } from './evidence.ts'
import { addMessage, startFunction } from './function-service.ts'

const space = await useSpace()

async function deadLetters({ url }: Service): Promise<DeadLetter[]> {
  const response = await fetch(`${url}/admin/dead-letters?function=fragile`, {
    headers: { authorization: `Bearer ${ADMIN_TOKEN}` }
  })
  return ((await response.json()) as { dead_letters: DeadLetter[] }).dead_letters
}

interface Restarts {
  stopped: boolean
  deaths: number
  /** The latest start of the worker. */
  start: Promise<LocalServer | undefined>
}

/** Restarts the worker each time it exits, as a process manager does. */
async function keepRunning(restarts: Restarts): Promise<void> {
  while (!restarts.stopped) {
    restarts.start = startFunction(space, 'fragile', { LEASE_MS: '500' }).catch(() => undefined)
    const worker = await restarts.start
    const exit = await worker?.exited
    // A worker that was killed before it was ready has no exit code.
    if (!restarts.stopped && (!exit || exit.code === 13)) restarts.deaths++
  }
}

test('I5: messages that always crash their worker become dead letters, and 1,000 other messages are processed', {
  timeout: 180_000
}, async () => {
  const api = await startService(space, 'api', { ADMIN_TOKEN, ...PATIENT })
  const killers = new Map<string, string>()
  for (let n = 0; n < 1000; n++) {
    if (n === 150) killers.set(await addMessage(space, 'fragile', -1, 'exit'), 'exit')
    if (n === 700) killers.set(await addMessage(space, 'fragile', -2, 'throw-exit'), 'throw-exit')
    await addMessage(space, 'fragile', n)
  }
  const restarts: Restarts = { stopped: false, deaths: 0, start: Promise.resolve(undefined) }
  void keepRunning(restarts)
  try {
    await until(
      'no message waits',
      async () =>
        (await space.redis.xlen(keyOf(space, 'fragile'))) === 0 &&
        (await space.redis.zcard(keyOf(space, 'retry:fragile'))) === 0,
      150_000
    )
  } finally {
    // The test stops only workers that have started, and this loop would start new ones.
    restarts.stopped = true
    await restarts.start
  }
  console.info(`workers that two messages killed: ${restarts.deaths}`)
  const dead = await deadLetters(api)
  expect(dead.map(({ code, message_id }) => [code, killers.get(message_id)]).sort()).toEqual([
    ['crashed', 'exit'],
    ['crashed', 'throw-exit']
  ])
  expect(await space.redis.scard(`${space.env.KEY_PREFIX}:done`)).toBe(1000)
})
