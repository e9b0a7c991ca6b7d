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

interface Upkeep {
  over: boolean
  deaths: number
  /** The start that is under way, or the last one. */
  start: Promise<LocalServer | undefined>
}

/** Starts the worker again whenever it has died, as whoever runs workers does. */
async function keepRunning(upkeep: Upkeep): Promise<void> {
  while (!upkeep.over) {
    upkeep.start = startFunction(space, 'fragile', { LEASE_MS: '500' }).catch(() => undefined)
    const worker = await upkeep.start
    const exit = await worker?.exited
    // One that died before it was ready has no exit to ask for.
    if (!upkeep.over && (!exit || exit.code === 13)) upkeep.deaths++
  }
}

test('I5: messages that kill their worker every time end as dead letters, while 1,000 others of the stream are done', {
  timeout: 180_000
}, async () => {
  const api = await startService(space, 'api', { ADMIN_TOKEN, ...PATIENT })
  const killers = new Map<string, string>()
  for (let n = 0; n < 1000; n++) {
    if (n === 150) killers.set(await addMessage(space, 'fragile', -1, 'exit'), 'exit')
    if (n === 700) killers.set(await addMessage(space, 'fragile', -2, 'throw-exit'), 'throw-exit')
    await addMessage(space, 'fragile', n)
  }
  const upkeep: Upkeep = { over: false, deaths: 0, start: Promise.resolve(undefined) }
  void keepRunning(upkeep)
  try {
    await until(
      'nothing waits',
      async () =>
        (await space.redis.xlen(keyOf(space, 'fragile'))) === 0 &&
        (await space.redis.zcard(keyOf(space, 'retry:fragile'))) === 0,
      150_000
    )
  } finally {
    // Before the end of the test ends the worker, or another one would be started; one that is being started must be
    // known by then.
    upkeep.over = true
    await upkeep.start
  }
  console.info(`workers that two messages killed: ${upkeep.deaths}`)
  const letters = await deadLetters(api)
  expect(letters.map(({ code, message_id }) => [code, killers.get(message_id)]).sort()).toEqual([
    ['crashed', 'exit'],
    ['crashed', 'throw-exit']
  ])
  expect(await space.redis.scard(`${space.env.KEY_PREFIX}:done`)).toBe(1000)
})
