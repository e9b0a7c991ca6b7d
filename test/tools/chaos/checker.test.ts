import { beforeAll, beforeEach, expect, test } from 'vitest'
import { check, type Remarks } from '../../../tools/chaos/checker.ts'
import { createEventLog, type EventLog } from '../../../tools/chaos/events.ts'
import { readHoldings } from '../../../tools/chaos/holdings.ts'
import type { DoneFault } from '../../../tools/chaos/inject.ts'
import { createLedger, type Ledger } from '../../../tools/chaos/ledger.ts'
import { toUnits } from '../../../tools/chaos/money.ts'
import type { Stall } from '../../../tools/chaos/stalls.ts'
import { openApp } from '../../harness/app.ts'
import { useSpace } from '../../harness/space.ts'
import { accessOf } from './access.ts'

const space = await useSpace()
const access = accessOf(space)
const key = (name: string) => `{${access.partitions[0]?.tag}}:${name}`

let ledger: Ledger
let faults: DoneFault[]
let stalls: Stall[]
let events: EventLog

beforeAll(async () => {
  // The start of the service creates the tables.
  await (await openApp(space, 'api')).close()
})

beforeEach(async () => {
  await space.sql('DELETE FROM orders')
  await space.sql('UPDATE order_totals SET processing = 0, completed = 0, failed = 0, revenue = 0')
  const keys = await space.keys()
  if (keys.length > 0) await space.redis.del(keys)
  ledger = createLedger()
  faults = []
  stalls = []
  events = createEventLog(access)
})

const time = '2026-01-31 12:00:00.123'
const iso = '2026-01-31T12:00:00.123Z'
const prices = { tax: '18.0000', total: '118.0000' }

/** Records that a client posted an order and got this status. */
function postOrder(id: string, status: number, amount = '100') {
  const { order, attempt } = ledger.sending(
    { id, body: '', amount: undefined, fields: '', api: 0, waits: false },
    toUnits(amount) ?? 0n,
    'api-1'
  )
  ledger.answered(
    order,
    attempt,
    status,
    document(id, { amount, tax: null, total: null, status: 'processing' })
  )
  return order
}

function document(
  id: string,
  { amount = '100', status = 'completed', ...rest } = {} as Record<string, unknown>
) {
  const { tax, total } = { tax: 18, total: 118, ...rest }
  const processed_at = status === 'completed' ? iso : null
  return JSON.stringify({
    order_id: id,
    amount: Number(amount),
    tax,
    total,
    status,
    created_at: iso,
    updated_at: iso,
    processed_at
  })
}

/** Writes a completed order of 100 to the stores, as the service does. */
async function store(id: string, { tax, total } = prices) {
  await space.sql(
    `INSERT INTO orders (order_id, amount, tax, total, status, created_at, updated_at, processed_at)
     VALUES (?, '100', ?, ?, 'completed', ?, ?, ?)`,
    [id, tax, total, time, time, time]
  )
  await space.sql(
    'UPDATE order_totals SET completed = completed + 1, revenue = revenue + ? ORDER BY slot LIMIT 1',
    [total]
  )
  await space.redis.set(key(`doc:${id}`), document(id, { tax: Number(tax), total: Number(total) }), 'EX', 60)
  await emit(id, `completed-${id}`)
}

async function emit(id: string, eventId: string) {
  const event = {
    specversion: '1.0',
    id: eventId,
    source: '/x',
    type: 'order.completed',
    subject: id,
    data: {}
  }
  await space.redis.xadd(key('events'), '*', 'data', JSON.stringify(event))
}

async function deadLetter(id: string, amount: string, code: string) {
  const data = JSON.stringify({ order_id: id, amount })
  await space.redis.xadd(key('dead:process-orders'), '*', 'data', data, 'code', code)
}

/** Returns the findings of the checker as `group: what`, and its remarks. */
async function find(): Promise<{ found: string[]; remarks: Remarks }> {
  await events.drain()
  const holdings = await readHoldings(access)
  const remarks = check({ ledger, holdings, events, faults, stalls, partitions: 1, audit: undefined })
  return { found: ledger.violations.map(({ group, what }) => `${group}: ${what}`), remarks }
}

const outage = (): DoneFault => ({
  kind: 'kill-mariadb',
  target: 'mariadb',
  began: 0,
  ended: performance.now()
})

test('the checker accepts an order that is correct in all stores', async () => {
  postOrder('good', 202)
  postOrder('good', 200)
  await store('good')
  const { found, remarks } = await find()
  expect(found).toEqual([])
  expect(remarks).toMatchObject({ rows: 1, documents: 1, unacknowledged: 0 })
})

test('an accepted order without a row counts as lost', async () => {
  postOrder('good', 202)
  await store('good')
  postOrder('gone', 202)
  expect((await find()).found).toEqual(['lost: accepted and gone'])
})

test('an order whose row has another body is lost, except with a dead letter of its body after an outage', async () => {
  postOrder('two', 202)
  postOrder('two', 202, '100.0001')
  await store('two')
  expect((await find()).found).toEqual(['lost: accepted and gone'])

  ledger.violations.length = 0
  await deadLetter('two', '100.0001', 'conflict')
  expect((await find()).found).toEqual(['wrong: two bodies accepted while both stores were available'])

  ledger.violations.length = 0
  faults = [outage()]
  const { found, remarks } = await find()
  expect(found).toEqual([])
  expect(remarks.conflictsFoundLater).toBe(1)
})

test.each([
  ['tax', { tax: '18.0001', total: '118.0001' }],
  ['total', { tax: '18.0000', total: '118.0001' }]
])('a row with a wrong %s is wrong', async (_, wrongPrices) => {
  postOrder('dear', 202)
  await store('dear', wrongPrices)
  expect((await find()).found).toEqual(['wrong: a wrong tax or total'])
})

test('a second event with another id counts as doubled, but a repeated event does not', async () => {
  postOrder('twice', 202)
  await store('twice')
  await emit('twice', 'completed-twice')
  const first = await find()
  expect(first.found).toEqual([])
  expect(first.remarks.repeatedEvents).toBe(1)
  await emit('twice', 'completed-again')
  expect((await find()).found).toEqual(['doubled: several events'])
})

test('a completed order without an event and an event without an order count as doubled', async () => {
  postOrder('silent', 202)
  await store('silent')
  await space.redis.del(key('events'))
  await emit('nobody', 'completed-nobody')
  expect((await find()).found.sort()).toEqual([
    'doubled: an event of no completed order',
    'doubled: completed without an event'
  ])
})

test('an order that is counted twice in the totals counts as doubled', async () => {
  postOrder('twice', 202)
  await store('twice')
  await space.sql(
    'UPDATE order_totals SET completed = completed + 1, revenue = revenue + 118 ORDER BY slot DESC LIMIT 1'
  )
  expect((await find()).found).toEqual(['doubled: wrong totals', 'doubled: wrong totals'])
})

test('a document that differs from its row is wrong, and so is a document that never expires', async () => {
  postOrder('old', 202)
  await store('old')
  await space.redis.set(
    key('doc:old'),
    document('old', { status: 'processing', tax: null, total: null }),
    'EX',
    60
  )
  postOrder('kept', 202)
  await store('kept')
  await space.redis.persist(key('doc:kept'))
  expect((await find()).found.sort()).toEqual([
    'wrong: a document that differs from its row',
    'wrong: a finished document without a TTL'
  ])
})

test('a 409 is wrong unless a store has another body', async () => {
  postOrder('refused', 409)
  expect((await find()).found).toEqual(['wrong: 409 without another body'])

  ledger = createLedger()
  postOrder('refused', 0, '100.0001')
  postOrder('refused', 409)
  expect((await find()).found).toEqual(['wrong: 409 for a body that is nowhere'])
})

test('a second 202 for one body is wrong unless a store was unavailable', async () => {
  postOrder('twice', 202)
  postOrder('twice', 202)
  await store('twice')
  expect((await find()).found).toEqual(['wrong: accepted twice while both stores were available'])
  ledger.violations.length = 0
  faults = [outage()]
  const { found, remarks } = await find()
  expect(found).toEqual([])
  expect(remarks.acceptedTwice).toBe(1)

  faults = []
  stalls = [{ target: 'redis', began: 0, ended: performance.now() }]
  expect((await find()).found).toEqual([])
})

test('an answer with processing is wrong if its request began after an answer with completed', async () => {
  const order = postOrder('seen', 202)
  await store('seen')
  const unfinished = document('seen', { status: 'processing', tax: null, total: null })
  const before = performance.now()
  ledger.saw(order, document('seen'), before, 'GET api-1')
  ledger.saw(order, unfinished, before, 'GET api-2')
  expect((await find()).found).toEqual([])
  ledger.saw(order, unfinished, performance.now(), 'GET api-2')
  // MySQL was unavailable, but nobody sent the order again.
  faults = [outage()]
  expect((await find()).found).toEqual(['wrong: processing after completed'])
})

test('a finished order that changes is wrong, and so is an answer with another amount', async () => {
  const order = postOrder('seen', 202)
  await store('seen')
  ledger.saw(order, document('seen'), 0, 'GET api-1')
  ledger.saw(order, document('seen').replaceAll(iso, '2026-01-31T12:00:00.124Z'), 0, 'GET api-1')
  ledger.saw(order, document('seen', { amount: '101' }), 0, 'GET api-1')
  expect((await find()).found).toEqual([
    'wrong: a finished order that changed',
    'wrong: an answer that cannot be right'
  ])
})

test('rows and dead letters of orders that nobody sent are wrong, and so are failed orders', async () => {
  await store('unsent')
  postOrder('poor', 202)
  await store('poor')
  await deadLetter('poor', '100', 'conflict')
  await deadLetter('poor', '99', 'conflict')
  await deadLetter('poor', '100', 'crashed')
  expect((await find()).found.sort()).toEqual([
    'wrong: a conflict with the same body',
    'wrong: a dead letter "crashed"',
    'wrong: a dead letter of a body that was never sent',
    'wrong: a row of an order that was never sent'
  ])
})
