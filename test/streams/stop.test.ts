import { expect, test } from 'vitest'
import type { App } from '../../src/app.ts'
import { TerminalError } from '../../src/streams/function.ts'
import { openApp, useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'
import { makeFunction } from './functions.ts'

const space = await useSpace()

/** So long a lease that what another worker has at once was given back. */
const LEASE_MS = 600_000

test('I8: what a worker that stops cannot finish within its grace is given back, and costs the messages nothing', async () => {
  const hangUntil = (signal: AbortSignal) => {
    const { promise, reject } = Promise.withResolvers<never>()
    signal.addEventListener('abort', () => reject(signal.reason))
    return promise
  }
  const seen: string[] = []
  let stopping = true
  const timeout = 600_000
  // Attempts are few, and all of them would be used up by what is cut short.
  const retry = { attempts: 1, base: 1, max: 1 }
  const handled = makeFunction(space, async () => undefined, {
    timeout,
    retry,
    handler: async (messages, { signal }) => {
      seen.push(...messages.map(({ body, attempt }) => `handled ${(body as { n: number }).n}#${attempt}`))
      if (stopping) await hangUntil(signal)
    }
  })
  const told = makeFunction(space, async () => undefined, {
    timeout,
    retry,
    handler: async ([message]) => {
      throw new TerminalError('no', `never ${message?.attempt}`)
    },
    onDead: async (letters, { signal }) => {
      seen.push(...letters.map(({ cause }) => `told ${cause.message}`))
      if (stopping) await hangUntil(signal)
      return {}
    }
  })
  for (let n = 0; n < 4; n++) await handled.add(n)
  await told.add(0)
  const consume = (app: App) => {
    app.consume(handled.definition)
    app.consume(told.definition)
  }
  const first = await openApp(space, 'worker', { LEASE_MS, SHUTDOWN_GRACE_MS: 1000 }, consume)
  await until('all are in hand', () => seen.length === 5)
  await first.close()

  stopping = false
  const begun = seen.splice(0).sort()
  expect(begun).toEqual(['handled 0#1', 'handled 1#1', 'handled 2#1', 'handled 3#1', 'told never 1'])
  const { app } = await useApp(space, 'worker', { LEASE_MS }, consume)
  await handled.settled()
  await told.settled()
  expect(seen.sort()).toEqual(begun)
  expect((await app.streams.deadLetters.list(handled.name, '', 10)).deadLetters).toEqual([])
  const { deadLetters: letters } = await app.streams.deadLetters.list(told.name, '', 10)
  expect(letters.map(({ code }) => code)).toEqual(['no'])
})
