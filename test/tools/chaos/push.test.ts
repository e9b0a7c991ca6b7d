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

function violationsOf(received: [id: string, times: number][]) {
  const ledger = createLedger()
  const follower = { name: 'follower', tenant: 'default', received: new Map(received), resets: 0 }
  checkFollowers([follower as unknown as Follower], events, ledger)
  return ledger.violations.map(({ what, id }) => [what, id])
}

test('a follower that has had each event of its tenant once is right', () => {
  expect(
    violationsOf([
      ['one:completed', 1],
      ['two:cancelled', 1]
    ])
  ).toEqual([])
})

test.each([
  ['a stream that missed an event', 'two', [['one:completed', 1]]],
  [
    'a stream that repeated an event',
    'one',
    [
      ['one:completed', 2],
      ['two:cancelled', 1]
    ]
  ],
  [
    'a stream with an event that was not published',
    'acme/one',
    [
      ['one:completed', 1],
      ['two:cancelled', 1],
      ['acme/one:completed', 1]
    ]
  ]
] as [string, string, [string, number][]][])('finds %s', (what, id, received) => {
  expect(violationsOf(received)).toEqual([[what, id]])
})
