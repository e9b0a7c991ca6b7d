import { expect, test } from 'vitest'
import type { EventLog } from '../../../tools/chaos/events.ts'
import { createLedger } from '../../../tools/chaos/ledger.ts'
import { checkFollowers } from '../../../tools/chaos/push/check-push.ts'
import type { Follower } from '../../../tools/chaos/push/follower.ts'

const events = {
  completed: new Map([
    ['one', ['one:completed']],
    ['acme/one', ['acme/one:completed']]
  ]),
  failed: new Map<string, string[]>(),
  cancelled: new Map([['two', ['two:cancelled']]])
} as unknown as EventLog

/** Checks a follower that got these events, and some again after a time (ms). `accepted` has the order of each 202. */
function violationsOf(received: string[], repeats: Follower['repeats'] = [], accepted = ['one', 'two']) {
  const ledger = createLedger()
  for (const id of accepted) {
    const { order, attempt } = ledger.sending({ id, fields: '' } as never, 1n, 'api-1')
    ledger.answered(order, attempt, 202, '')
  }
  ledger.violations.length = 0
  const times = new Map(received.map(id => [id, 1]))
  const follower = { name: 'follower', tenant: 'default', received: times, repeats, resets: 0 }
  checkFollowers([follower as unknown as Follower], events, ledger)
  return ledger.violations.map(({ what, id }) => [what, id])
}

test('a follower that has had each event of its tenant once is right', () => {
  expect(violationsOf(['one:completed', 'two:cancelled'])).toEqual([])
})

test('an event may come again long after, if its order was accepted again', () => {
  const all = ['one:completed', 'two:cancelled']
  const repeated = [['a stream that repeated an event', 'one']]
  const late = [{ id: 'one:completed', after: 120_000 }]
  expect(violationsOf(all, late, ['one', 'two', 'one'])).toEqual([])
  expect(violationsOf(all, late)).toEqual(repeated)
  expect(violationsOf(all, [{ id: 'one:completed', after: 1000 }], ['one', 'two', 'one'])).toEqual(repeated)
})

test.each([
  ['a stream that missed an event', 'two', ['one:completed']],
  [
    'a stream with an event that was not published',
    'acme/one',
    ['one:completed', 'two:cancelled', 'acme/one:completed']
  ]
] as const)('finds %s', (what, id, received) => {
  expect(violationsOf([...received])).toEqual([[what, id]])
})
