import { expect, test } from 'vitest'
import { type Message, TerminalError } from '../../src/streams/function.ts'
import { until, useSpace } from '../harness/space.ts'
import { makeFunction, useWorker } from './functions.ts'

const space = await useSpace()

const GETTER = Object.defineProperty(new Error('hidden'), 'message', {
  get: () => {
    throw new Error('from the getter')
  }
})

/** The values that an author may throw by mistake, and the text in the dead letter of each. */
const THROWN: [what: string, thrown: () => unknown, shown: { code?: unknown; cause?: object }][] = [
  [
    'an error text that is cut inside a surrogate pair',
    () => new Error(`${'x'.repeat(999)}😀`),
    { code: 'exhausted', cause: { class: 'Error', message: `${'x'.repeat(999)}\ufffd` } }
  ],
  [
    'an error text with a lone surrogate',
    () => new Error('a \udc00 b'),
    { cause: { class: 'Error', message: 'a \ufffd b' } }
  ],
  [
    'a terminal error without a code',
    () => new TerminalError(undefined as never, 'no'),
    { code: 'terminal' }
  ],
  [
    'a terminal error whose code is a list',
    () => new TerminalError(['a', 'b'] as never, 'no'),
    { code: 'terminal' }
  ],
  [
    'an error whose name is a list',
    () => Object.assign(new Error('no'), { name: ['a', 'b'] }),
    { cause: { class: 'Error', message: 'no' } }
  ],
  [
    'an error whose message is an object',
    () => Object.assign(new Error(), { message: { a: 1 } }),
    { cause: { class: 'Error', message: '{ a: 1 }' } }
  ],
  [
    'an error whose message is undefined',
    () => Object.assign(new Error(), { message: undefined }),
    { cause: { class: 'Error', message: 'undefined' } }
  ],
  [
    'an error with a getter that throws',
    () => GETTER,
    { cause: { class: 'Error', message: 'an error that cannot be read' } }
  ],
  ['a string', () => 'plain \ud800', { cause: { class: 'Error', message: 'plain \ufffd' } }],
  ['undefined', () => undefined, { cause: { class: 'Error', message: 'undefined' } }],
  ['an object without a prototype', () => Object.create(null), { cause: { class: 'Error' } }]
]

test.each(THROWN)(
  'a message that fails with %s makes one dead letter after its attempts',
  async (_what, thrown, shown) => {
    const runs = new Map<number, number>()
    const fn = makeFunction(
      space,
      async messages => ({
        failed: messages.flatMap(message => {
          const { n } = message.body
          runs.set(n, (runs.get(n) ?? 0) + 1)
          if (n === 1) return [{ message, cause: thrown() as Error }]
          return n === 0 ? [{ message, cause: new TerminalError('innocent', 'a batch-mate') }] : []
        })
      }),
      { batch: { size: 10, window: 50 }, concurrency: 1 }
    )
    for (let n = 0; n < 3; n++) await fn.add(n)
    const { app } = await useWorker(space, fn.definition)
    const deadLetters = await until('both are dead letters', async () => {
      const page = await app.streams.deadLetters.list(fn.name, '', 100)
      return page.deadLetters.length >= 2 && page.deadLetters
    })
    await fn.settled()
    await until('nothing waits', async () => (await space.redis.zcard(app.keys.retry(fn.name, 0))) === 0)
    const of = (n: number) => deadLetters.filter(({ data }) => JSON.parse(data).n === n)
    expect(of(0)).toMatchObject([{ code: 'innocent', attempts: 1 }])
    expect(of(1)).toMatchObject([shown])
    const terminal = of(1)[0]?.attempts === 1
    expect([...runs].sort()).toEqual([
      [0, 1],
      [1, terminal ? 1 : 3],
      [2, 1]
    ])
    void ({} as Message)
  }
)
