import { pino } from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import { Availability } from '../../src/stores/availability.ts'
import {
  Contention,
  NoFreeConnection,
  NoNewConnection,
  StoreRefused,
  StoreUnavailable,
  UnexplainedStoreError
} from '../../src/stores/errors.ts'
import { until } from '../harness/space.ts'

/** Watches a store that answers probes while `answers` is true, and counts them. */
async function watch(timeout = 1000) {
  const store = { answers: true, probes: 0, write: async () => {} }
  const availability = new Availability({
    store: 'redis',
    log: pino({ level: 'silent' }),
    timeout,
    probe: async () => {
      store.probes++
      if (!store.answers) await new Promise(() => {})
    },
    tryWrite: () => store.write()
  })
  await availability.start()
  onTestFinished(() => availability.stop())
  return { store, availability }
}

const fail = (error: Error) => async () => {
  throw error
}

test('calls fail at once and do not run while a store is unavailable', async () => {
  const { store, availability } = await watch(1)
  store.answers = false
  expect(await availability.check()).toBe(false)
  let made = false
  const call = availability.run(async () => {
    made = true
  })
  await expect(call).rejects.toThrow('no answer within 1 ms')
  expect(made).toBe(false)
})

test('a call without an answer marks its store as unavailable, and other failures do not', async () => {
  const { availability } = await watch()
  for (const error of [new StoreRefused('redis'), new StoreUnavailable('mysql'), new Error('mine')]) {
    await expect(availability.run(fail(error))).rejects.toBe(error)
    expect(availability.up).toBe(true)
  }
  const unavailable = new StoreUnavailable('redis')
  await expect(availability.run(fail(unavailable))).rejects.toBe(unavailable)
  expect(availability.up).toBe(false)
  await availability.untilUp(new AbortController().signal)
  expect(availability.up).toBe(true)
})

test('a store that has just failed is probed again before it counts as unavailable', async () => {
  const { store, availability } = await watch()
  const stillUp = () =>
    availability.run(fail(new StoreUnavailable('redis'))).catch(() => availability.stillUp())
  expect(await stillUp()).toBe(true)
  store.answers = false
  expect(await stillUp()).toBe(false)
})

test('concurrent checks share one probe', async () => {
  const { store, availability } = await watch()
  const before = store.probes
  await Promise.all([availability.check(), availability.check(), availability.check()])
  expect(store.probes).toBe(before + 1)
})

test('a store that answers probes counts as writable unless a trial write gets no answer', async () => {
  const { store, availability } = await watch(100)
  expect(await availability.takesWrites()).toBe(true)
  store.write = fail(new Error('mine'))
  expect(await availability.takesWrites()).toBe(true)
  store.write = fail(new StoreUnavailable('redis'))
  expect(await availability.takesWrites()).toBe(false)
  expect(availability.up).toBe(true)
  store.write = async () => {}
  store.answers = false
  expect(await availability.takesWrites()).toBe(false)
})

test('a store counts as refusing after a refused trial write, but not after a lock or a full pool', async () => {
  const { store, availability } = await watch(1000)
  for (const error of [new Contention('locked'), new NoFreeConnection('redis')]) {
    store.write = fail(error)
    expect([await availability.takesWrites(), availability.refusal]).toEqual([true, undefined])
  }
  store.write = fail(new NoNewConnection('redis'))
  expect([await availability.takesWrites(), availability.refusal]).toEqual([false, undefined])
  const unexplained = new UnexplainedStoreError(
    'mysql',
    Object.assign(new Error('it is so'), { errno: 1047 })
  )
  const refused = new StoreRefused('redis')
  store.write = fail(refused)
  expect([await availability.takesWrites(), availability.refusal]).toEqual([false, refused])
  store.write = fail(unexplained)
  expect(await availability.takesWrites()).toBe(false)
  expect(availability.refusal).toBeInstanceOf(StoreRefused)
  expect(availability.refusal?.cause).toBe(unexplained)
  expect(await availability.writable()).toBe(false)
  store.write = async () => {}
  await until('it has tried a write by itself', () => availability.refusal === undefined)
})

test('health makes a trial write from time to time, and waits for its answer no longer than for a probe', async () => {
  const { store, availability } = await watch(500)
  let tries = 0
  store.write = async () => {
    tries++
  }
  for (let look = 0; look < 5; look++) expect(await availability.writable()).toBe(true)
  expect(tries).toBe(1)
  const { availability: slow, store: hanging } = await watch(100)
  hanging.write = () => new Promise(() => {})
  expect(await slow.writable()).toBe(true)
})

test('after an untrusted call without an answer, a store counts as unavailable if a probe fails, too', async () => {
  const { store, availability } = await watch()
  const unavailable = new StoreUnavailable('redis')
  await expect(availability.run(fail(unavailable), false)).rejects.toBe(unavailable)
  expect(availability.up).toBe(true)
  store.answers = false
  await expect(availability.run(fail(unavailable), false)).rejects.toBe(unavailable)
  await until('it was probed', () => !availability.up)
})
