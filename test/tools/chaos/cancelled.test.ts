import { describe, expect, test } from 'vitest'
import { check } from '../../../tools/chaos/checker.ts'
import type { Row } from '../../../tools/chaos/holdings.ts'
import type { OrderHistory } from '../../../tools/chaos/ledger.ts'
import { documentOf, goodRun, post, rowOf } from './made-up.ts'

type Run = ReturnType<typeof goodRun>

const verdicts = (run: Run) => {
  check(run)
  return run.ledger.violations.map(({ group, what }) => `${group}: ${what}`)
}
const row = ({ holdings }: Run) => (holdings.rows.get('one') as Row[])[0] as Row

describe('a cancelled order', () => {
  /** A good run in which a client has cancelled the order `one`, with the answer `status`. */
  const cancelledRun = (status = 200) => {
    const run = goodRun()
    const text = documentOf('one', { status: 'cancelled', tax: null, total: null })
    const { order, attempt } = run.ledger.cancelling('one', 'api-1')
    run.ledger.cancelled(order, attempt, status, text)
    Object.assign(row(run), { status: 'cancelled', tax: null, total: null })
    Object.assign(run.holdings.documents[0] as object, { text })
    Object.assign(run.holdings.totals, { completed: '1', cancelled: '1', revenue: '118.0000' })
    Object.assign(run.audit, { completed: 1, cancelled: 1 })
    run.events.completed.delete('one')
    run.events.cancelled.set('one', ['one:cancelled'])
    return run
  }

  test.each([200, 503, 0])('is right after a cancel that was answered %d', status => {
    expect(verdicts(cancelledRun(status))).toEqual([])
  })

  test.each<[string, (run: Run) => unknown]>([
    ['wrong: cancelled by nobody', ({ ledger }) => (ledger.orders.get('one') as OrderHistory).cancels.pop()],
    ['wrong: a wrong tax or total', run => (row(run).tax = '18.0000')],
    ['doubled: cancelled without an event', ({ events }) => events.cancelled.delete('one')],
    ['doubled: several events', ({ events }) => events.cancelled.get('one')?.push('again')],
    ['doubled: an event of no completed order', ({ events }) => events.completed.set('one', ['x'])],
    ['doubled: an event of no cancelled order', ({ events }) => events.cancelled.set('two', ['x'])]
  ])('%s', (verdict, harm) => {
    const run = cancelledRun()
    harm(run)
    expect(verdicts(run)).toContain(verdict)
  })

  test.each<[string, number, string]>([
    ['wrong: a cancel that had no effect', 200, 'one'],
    ['wrong: a cancel refused for no reason', 409, 'three'],
    ['wrong: a cancel that did not find an acknowledged order', 404, 'one']
  ])('%s', (verdict, status, id) => {
    const run = goodRun()
    const { attempt } = run.ledger.cancelling(id, 'api-1')
    Object.assign(attempt, { began: 5000, ended: 5001, status })
    expect(verdicts(run)).toContain(verdict)
  })
})

describe('two tenants', () => {
  test('have orders of the same id, each with its own row, document and event', () => {
    const run = goodRun()
    post(run.ledger, 'acme/one', 202)
    const own = rowOf('one')
    run.holdings.rows.set('acme/one', [{ ...own, tenant: 'acme' }])
    run.holdings.documents.push({ id: 'acme/one', text: documentOf('one'), ttl: 1000 })
    Object.assign(run.holdings.totals, { completed: '3', revenue: '354.0000' })
    run.audit.completed = 3
    run.events.completed.set('acme/one', ['acme/one:completed'])
    expect(verdicts(run)).toEqual([])
    run.events.completed.set('acme/one', ['one:completed'])
    expect(verdicts(run)).toEqual(['doubled: one event id for two orders'])
  })
})
