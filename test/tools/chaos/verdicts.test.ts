import { describe, expect, test } from 'vitest'
import { check, type Evidence } from '../../../tools/chaos/checker.ts'
import type { Client } from '../../../tools/chaos/client.ts'
import type { Row } from '../../../tools/chaos/holdings.ts'
import { createLedger } from '../../../tools/chaos/ledger.ts'
import { runLoad } from '../../../tools/chaos/load.ts'
import { partitionOf } from '../../../tools/chaos/partition.ts'
import { readAtRest } from '../../../tools/chaos/reader.ts'
import { type Outcome, passed } from '../../../tools/chaos/report.ts'
import { documentOf, goodRun, post, rowOf } from './made-up.ts'

type Run = ReturnType<typeof goodRun>

const verdicts = (run: Evidence) => {
  check(run)
  return run.ledger.violations.map(({ group, what }) => `${group}: ${what}`)
}
const row = ({ holdings }: Run) => (holdings.rows.get('one') as Row[])[0] as Row
const change = (run: Run, text: string) => Object.assign(run.holdings.documents[0] as object, { text })
const deadLetter = (id: string, amount: string) => ({ code: 'conflict', id, amount, fields: '' })
const authorize = () => ({})

test('a good run has no violation', () => {
  expect(verdicts(goodRun())).toEqual([])
})

test.each<[string, (run: Run) => unknown]>([
  ['lost: accepted and gone', ({ ledger }) => post(ledger, 'three', 200)],
  ['doubled: several rows', ({ holdings }) => holdings.rows.get('one')?.push(rowOf('one'))],
  ['wrong: a row with an amount that was never sent', run => (row(run).amount = '101.0000')],
  ['wrong: a row that is processing', run => (row(run).status = 'processing')],
  ['wrong: a row that is failed', run => (row(run).status = 'failed')],
  ['wrong: a wrong time', run => (row(run).processed_at = null)],
  ['wrong: a wrong time', run => (row(run).processed_at = '2026-01-31 12:00:00.122')],
  ['doubled: wrong totals', ({ holdings }) => (holdings.totals.processing = '1')],
  ['doubled: wrong totals', ({ holdings }) => (holdings.totals.completed = '3')],
  ['doubled: wrong totals', ({ holdings }) => (holdings.totals.failed = '1')],
  ['doubled: wrong totals', ({ holdings }) => (holdings.totals.cancelled = '1')],
  ['doubled: wrong totals', ({ holdings }) => (holdings.totals.revenue = '236.0001')],
  ['doubled: wrong totals', ({ holdings }) => (holdings.totals.currency_revenue = '0.0001')],
  ['wrong: a document that is not JSON', run => change(run, '{')],
  ['wrong: a document without a row', ({ holdings }) => holdings.rows.delete('one')],
  ...['amount', 'tax', 'total', 'created_at', 'updated_at', 'processed_at', 'status', 'order_id'].map(
    (name): [string, (run: Run) => unknown] => [
      'wrong: a document that differs from its row',
      run => change(run, documentOf('one', { [name]: 7 }))
    ]
  ),
  ['wrong: a document that differs from its row', run => (row(run).metadata = '{"a": "b"}')],
  ['wrong: an event order.failed of another order', ({ events }) => events.failed.set('one', ['x'])],
  ['doubled: one event id for two orders', ({ events }) => events.completed.set('two', ['one:completed'])],
  ['wrong: an entry of events that is not an event', ({ events }) => events.faulty.push('x')],
  [
    'wrong: a conflict without a row',
    ({ ledger, holdings }) => {
      post(ledger, 'three', 0)
      holdings.deadLetters.push(deadLetter('three', '100'))
    }
  ],
  ...(['completed', 'failed', 'cancelled', 'conflicts', 'dead_letters', 'lost'] as const).map(
    (name): [string, (run: Run) => unknown] => [
      'wrong: an audit that differs from the stores',
      ({ audit }) => audit[name]++
    ]
  )
])('%s (%#)', (verdict, harm) => {
  const run = goodRun()
  harm(run)
  expect(verdicts(run)).toContain(verdict)
})

describe('a 503', () => {
  const lost: Evidence['faults'][number] = { kind: 'kill-master', target: 'redis', began: 500, ended: 1500 }
  const partition = partitionOf('one', 12)

  test.each<[string, string[], Evidence['faults']]>([
    ['is wrong without an outage', ['wrong: 503 while Redis was available'], []],
    [
      'is wrong while only MySQL is unavailable',
      ['wrong: 503 while Redis was available'],
      [{ ...lost, kind: 'kill-mariadb', target: 'mariadb' }]
    ],
    ['is allowed after a fault of the api', [], [{ ...lost, kind: 'kill-api', target: 'api-1' }]],
    [
      'is allowed while the master of its partition is unavailable',
      [],
      [{ ...lost, partitions: [partition] }]
    ],
    [
      'is wrong while only another master is unavailable',
      ['wrong: 503 while Redis was available'],
      [{ ...lost, partitions: [partition + 1], ports: [7001, 7004] }]
    ]
  ])('%s', (_what, found, faults) => {
    const run = goodRun()
    post(run.ledger, 'one', 503)
    // While a server has a fault, it does not answer the watch, either.
    if (faults[0]?.ports) run.stalls.push({ target: 'redis', port: 7001, began: 500, ended: 1500 })
    expect(verdicts({ ...run, faults, partitions: 12 })).toEqual(found)
  })
})

describe('an outage excuses', () => {
  const outage = (began: number, ended: number, kind = 'kill-mariadb', target = 'mariadb') =>
    ({ kind, target, began, ended }) as Evidence['faults'][number]
  const twice = 'wrong: accepted twice while both stores were available'
  const bodies = 'wrong: two bodies accepted while both stores were available'

  test.each<[string, string[], Evidence['faults']]>([
    ['an answer during the outage', [], [outage(500, 1500)]],
    ['an answer shortly after the outage', [], [outage(0, 500)]],
    ['no answer before the outage', [twice, bodies], [outage(5000, 6000)]],
    ['no answer if the outage affected no store', [twice, bodies], [outage(500, 1500, 'kill-api', 'api-1')]],
    [
      'an answer of an api that was paused when the outage ended',
      [],
      [outage(-9000, -5000), outage(-6000, 500, 'pause-api', 'api-1')]
    ],
    [
      'nothing if another api was paused',
      [twice, bodies],
      [outage(-9000, -5000), outage(-6000, 500, 'pause-api', 'api-2')]
    ],
    [
      'nothing if the outage ended long before the pause',
      [twice, bodies],
      [outage(-9000, -5000), outage(-1000, 500, 'pause-api', 'api-1')]
    ]
  ])('%s', (_what, found, faults) => {
    const run = goodRun()
    post(run.ledger, 'one', 202)
    post(run.ledger, 'two', 202, 1000, '101')
    run.holdings.deadLetters.push(deadLetter('two', '101'))
    Object.assign(run.audit, { conflicts: 1, dead_letters: 1 })
    expect(verdicts({ ...run, faults })).toEqual(found)
  })

  test.each<[string, string[], Evidence['faults']]>([
    ['a finished order that was accepted again while MySQL was unavailable', [], [outage(2000, 9000)]],
    [
      'no such second acceptance if MySQL was available in between',
      ['again'],
      [outage(2000, 3500), outage(8500, 9000)]
    ],
    [
      'no such second acceptance if Redis was unavailable instead',
      ['again'],
      [outage(2000, 9000, 'kill-redis', 'redis')]
    ],
    [
      'an order with an old document in Redis, while MySQL is unavailable',
      [],
      [outage(1400, 2500, 'kill-redis', 'redis'), outage(8500, 9000)]
    ],
    [
      'an order whose worker had not updated Redis, while MySQL is unavailable',
      [],
      [outage(1400, 2500, 'pause-worker', 'worker-2'), outage(8500, 9000)]
    ],
    [
      'no old document in Redis if an api was killed',
      ['again'],
      [outage(1400, 2500, 'kill-api', 'api-1'), outage(8500, 9000)]
    ],
    [
      'no old document in Redis if Redis was unavailable before the order',
      ['again'],
      [outage(0, 900, 'kill-redis', 'redis'), outage(8500, 9000)]
    ]
  ])('%s', (_what, found, faults) => {
    const run = goodRun()
    const order = post(run.ledger, 'one', 0, 3000)
    order.finished = { at: 1500, document: documentOf('one') }
    order.regressions.push({ began: 8600, ended: 8700, source: 'GET', document: '' })
    expect(verdicts({ ...run, faults })).toEqual(found.map(() => 'wrong: processing after completed'))
  })
})

test('a 409 is wrong when the other body was sent later', () => {
  const run = goodRun()
  post(run.ledger, 'one', 409, 1000, '101')
  post(run.ledger, 'three', 409, 1000)
  post(run.ledger, 'three', 0, 2000, '101')
  expect(verdicts(run)).toEqual(['wrong: 409 without another body'])
})

test.each([
  [
    'another order',
    202,
    documentOf('one', { amount: 101 }),
    'an answer with another order than the one sent'
  ],
  ['another id', 200, documentOf('two'), 'an answer that cannot be right'],
  ['a wrong tax', 200, documentOf('one', { tax: 19 }), 'an answer that cannot be right'],
  ['a wrong total', 200, documentOf('one', { total: 119 }), 'an answer that cannot be right'],
  [
    'a price before completion',
    200,
    documentOf('one', { status: 'processing' }),
    'an answer that cannot be right'
  ],
  ['the status failed', 200, documentOf('one', { status: 'failed' }), 'an answer that cannot be right'],
  ['fields that nobody sent', 200, documentOf('one', { customer_id: 'c' }), 'an answer that cannot be right'],
  ['no JSON', 200, '<html>', 'an answer that cannot be right']
])('an answer with %s is wrong', (_what, status, text, verdict) => {
  const ledger = createLedger()
  const posting = { id: 'one', body: '', amount: undefined, fields: '', api: 0, waits: false }
  const { order, attempt } = ledger.sending(posting, 1_000_000n, 'api-1')
  ledger.answered(order, attempt, status, text)
  expect(ledger.violations.map(({ what }) => what)).toContain(verdict)
})

test.each([
  ['is not found', 404, '{}'],
  ['is not finished', 200, documentOf('one', { status: 'processing', tax: null, total: null })],
  ['gets no answer', 0, '']
])('an acknowledged order is wrong if it %s at rest on any api', async (_what, status, text) => {
  const ledger = createLedger()
  ledger.acknowledged.push(post(ledger, 'one', 202))
  const answering = (status: number, text: string) =>
    ({
      name: 'api',
      get: async () => {
        if (status === 0) throw new Error('no answer')
        return { status, text, headers: {} }
      }
    }) as unknown as Client
  const good = answering(200, documentOf('one'))
  await readAtRest({ ledger, clients: [good], authorize, seed: 1 }, 10)
  expect(ledger.violations).toEqual([])
  await readAtRest({ ledger, clients: [good, answering(status, text)], authorize, seed: 1 }, 10)
  expect(ledger.violations.map(({ what }) => what)).toContain(
    'an acknowledged order that is not finished at rest'
  )
})

test.each([
  [202, 'a bad body that was not refused'],
  [500, 'an answer that POST never returns']
])('a POST that is always answered %d is wrong', async (status, verdict) => {
  const ledger = createLedger()
  const end = new AbortController()
  let posts = 0
  const post = async (_path: string, body: string) => {
    if (++posts === 600) end.abort()
    return { status, text: body, headers: {} }
  }
  const clients = [{ name: 'api', post } as unknown as Client]
  const abandon = new AbortController().signal
  await runLoad({ seed: 1, rate: 10_000, clients, authorize, ledger, signal: end.signal, abandon })
  expect(ledger.violations.map(({ what }) => what)).toContain(verdict)
})

test('a run passes only if it has no violation, reaches rest, balances the audit and injects every fault', () => {
  const fault = {} as Outcome['plan'][number]
  const good = () =>
    ({
      ...goodRun(),
      plan: [fault],
      faults: [fault],
      rest: { reached: true, audit: goodRun().audit }
    }) as unknown as Outcome
  expect(passed(good())).toBe(true)
  const violated = good()
  violated.ledger.violate('wrong', 'x', '', '')
  const { rest } = good()
  for (const bad of [
    violated,
    { ...good(), faults: [] },
    { ...good(), rest: { ...rest, reached: false } },
    { ...good(), rest: { ...rest, audit: undefined } },
    { ...good(), rest: { ...rest, audit: { ...goodRun().audit, difference: 1 } } }
  ])
    expect(passed(bad)).toBe(false)
})
