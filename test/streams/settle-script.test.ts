import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadScript } from '../../src/stores/redis/script.ts'
import { fromEntry } from '../../src/streams/group/delivery.ts'
import { createGroupMember } from '../../src/streams/group/member.ts'
import { encodeSettlements, type Settlement } from '../../src/streams/group/settlement.ts'
import { EVENTS } from '../../src/streams/names.ts'
import { openApp, type TestApp } from '../harness/app.ts'
import { useSpace } from '../harness/space.ts'
import { makeFunction } from './functions.ts'

const space = await useSpace()
const script = loadScript(new URL('../../src/streams/group/settle.lua', import.meta.url))
let worker: TestApp

beforeAll(async () => {
  worker = await openApp(space, 'worker')
})
afterAll(() => worker.close())

/** A group member that owns two messages, and the data of these messages in Redis. */
async function ownTwo() {
  const { keys } = worker.app
  const fn = makeFunction(space, async () => undefined)
  const ids = [await fn.add(1), await fn.add(2)]
  const own = { name: fn.name, group: fn.name, stream: fn.definition.stream }
  const member = createGroupMember({
    redis: worker.app.stores.redis,
    keys,
    definition: own,
    partition: 0,
    consumer: 'c',
    lease: () => 600_000
  })
  await member.join()
  await space.redis.xreadgroup('GROUP', fn.name, 'c', 'STREAMS', fn.key, '>')
  const fixed = [
    fn.key,
    keys.stream(EVENTS, 0),
    keys.retry(fn.name, 0),
    keys.retrying(fn.name, 0),
    keys.dead(fn.name, 0),
    keys.settled(0)
  ]
  const documents = ids.map((_, index) => keys.document(`${fn.name}-${index}`))
  /** All data that a settlement can change, byte by byte. */
  const state = async () => ({
    dumps: await Promise.all([...fixed, ...documents].map(key => space.redis.dumpBuffer(key))),
    pending: (await space.redis.xpending(fn.key, fn.name))[0]
  })
  /** The settlement of one message, with a change to each key that a settlement can write. */
  const settlement = (index: number, outcome: Settlement['outcome']): Settlement => ({
    delivery: fromEntry([ids[index] as string, []], 1),
    outcome,
    counts: [[`${fn.name}-ended`, 1]],
    writes: [{ key: documents[index] as string, value: 'text', ttl: 60_000 }],
    events: [{ data: '{}', unless: '', message: { requestId: 'r', traceparent: '' } }]
  })
  return { member, owner: [fn.name, 'c', 'delete'], fixed, state, settlement, deadKey: keys.dead(fn.name, 0) }
}

const DEAD = { kind: 'dead', fields: ['id', '1-1', 'code', 'exhausted'] } as const
const dead = (): Settlement['outcome'] => ({ kind: 'dead', fields: [...DEAD.fields] })

/** The fault in a settlement, and the words in which the script reports it. */
const FAULTS: [what: string, change: (second: Settlement) => Partial<Settlement>, fault: string][] = [
  ['a dead letter of half a field', () => ({ outcome: { kind: 'dead', fields: ['id'] } }), 'the fields'],
  ['a dead letter of no fields', () => ({ outcome: { kind: 'dead', fields: [] } }), 'the fields'],
  [
    'a pause of half a millisecond',
    () => ({ outcome: { kind: 'retry', pause: 0.5, record: '{}' } }),
    'the pause'
  ],
  [
    'a pause that is not a number',
    () => ({ outcome: { kind: 'retry', pause: Number.NaN, record: '{}' } }),
    'the pause'
  ],
  ['an unknown outcome', () => ({ outcome: { kind: 'lost' } as never }), 'the shape'],
  [
    'a count that is not a number',
    ({ counts: [[counter] = ['']] }) => ({ counts: [[counter, Number.NaN]] }),
    'the counter'
  ],
  [
    'a token that is not a number',
    ({ delivery }) => ({ delivery: { ...delivery, source: 'retry', token: 'none' } }),
    'the token'
  ]
]

test.each(FAULTS)('a call settles nothing when its second message has %s', async (_what, change, fault) => {
  const { member, state, settlement } = await ownTwo()
  const before = await state()
  const second = settlement(1, { kind: 'done' })
  await expect(member.settle([settlement(0, dead()), { ...second, ...change(second) }])).rejects.toThrow(
    `ERR settle: ${fault} is wrong at argument`
  )
  expect(await state()).toEqual(before)
  expect(before.pending).toBe(2)
})

test('a call settles nothing when its arguments or its keys end too early', async () => {
  const { owner, fixed, state, settlement, deadKey } = await ownTwo()
  const before = await state()
  const both = [settlement(0, dead()), settlement(1, { kind: 'retry', pause: 0, record: '{}' })]
  const { keys, args } = encodeSettlements(both, fixed, owner)
  for (let length = fixed.length - 1; length < args.length; length++)
    await expect(script(space.redis, keys, args.slice(0, length)), `${length} arguments`).rejects.toThrow(
      'ERR settle: '
    )
  for (let length = fixed.length; length < keys.length; length++)
    await expect(script(space.redis, keys.slice(0, length), args), `${length} keys`).rejects.toThrow(
      'ERR settle: the number of keys'
    )
  await expect(script(space.redis, keys, [...args, 'more'])).rejects.toThrow('ERR settle: ')
  expect(await state()).toEqual(before)

  // The complete call settles both messages.
  expect(await script(space.redis, keys, args)).toEqual([2, [], []])
  expect(await space.redis.xlen(deadKey)).toBe(1)
  expect((await state()).pending).toBe(0)
})
