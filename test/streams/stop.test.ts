import { expect, test } from 'vitest'
import type { App } from '../../src/app.ts'
import { TerminalError } from '../../src/streams/function.ts'
import { openApp, useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'
import { makeFunction } from './functions.ts'

const space = await useSpace()

/** With this lease, another worker gets only released messages at once. */
const LEASE_MS = 600_000

test('I8: a worker that stops releases the messages that it cannot finish in time, without an attempt', async () => {
  const hangUntil = (signal: AbortSignal) => {
    const { promise, reject } = Promise.withResolvers<never>()
    signal.addEventListener('abort', () => reject(signal.reason))
    return promise
  }
  const seen: string[] = []
  let stopping = true
  const timeout = 600_000
  // With one attempt, an interrupted run that counted would dead-letter the message.
  const retry = { attempts: 1, base: 1, max: 1 }
  const handled = makeFunction(space, async () => undefined, {
    timeout,
    retry,
    handler: async (messages, { signal }) => {
      seen.push(...messages.map(({ body, attempt }) => `handled ${(body as { n: number }).n}#${attempt}`))
      if (stopping) await hangUntil(signal)
    }
  })
  const notified = makeFunction(space, async () => undefined, {
    timeout,
    retry,
    handler: async ([message]) => {
      throw new TerminalError('no', `never ${message?.attempt}`)
    },
    onDead: async (deadLetters, { signal }) => {
      seen.push(...deadLetters.map(({ cause }) => `notified ${cause.message}`))
      if (stopping) await hangUntil(signal)
      return {}
    }
  })
  for (let n = 0; n < 4; n++) await handled.add(n)
  await notified.add(0)
  const consume = (app: App) => {
    app.consume(handled.definition)
    app.consume(notified.definition)
  }
  const first = await openApp(space, 'worker', { LEASE_MS, SHUTDOWN_GRACE_MS: 1000 }, consume)
  await until('all are in flight', () => seen.length === 5)
  await first.close()

  stopping = false
  const begun = seen.splice(0).sort()
  expect(begun).toEqual(['handled 0#1', 'handled 1#1', 'handled 2#1', 'handled 3#1', 'notified never 1'])
  const { app } = await useApp(space, 'worker', { LEASE_MS }, consume)
  await handled.settled()
  await notified.settled()
  expect(seen.sort()).toEqual(begun)
  expect((await app.streams.deadLetters.list(handled.name, '', 10)).deadLetters).toEqual([])
  const { deadLetters } = await app.streams.deadLetters.list(notified.name, '', 10)
  expect(deadLetters.map(({ code }) => code)).toEqual(['no'])
})
