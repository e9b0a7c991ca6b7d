import type { Audit } from './audit.ts'
import type { EventLog } from './events.ts'
import type { DoneFault } from './faults.ts'
import type { DeadLetter, Holdings, Row } from './holdings.ts'
import type { Attempt, Ledger, Told } from './ledger.ts'
import { taxOn, toText, toUnits } from './money.ts'
import { isFelt, type Outage, outagesOf, overlaps } from './outages.ts'
import type { Stall } from './stalls.ts'

/** What the checker compares: what clients were told, what the stores hold, and what was done to them meanwhile. */
export interface Evidence {
  ledger: Ledger
  holdings: Holdings
  events: EventLog
  faults: DoneFault[]
  /** When the stores did not answer, whatever the reason. */
  stalls: Stall[]
  /** Undefined when the service gave none. */
  audit: Audit | undefined
}

/** What is no violation, and worth knowing. */
export interface Remarks {
  /** Orders for which a body was told 202 more than once, while a store was away. */
  acceptedTwice: number
  /** Bodies that were told 202 or 200 and are a `conflict` dead letter, since a store was away (I2's limit). */
  conflictsFoundLater: number
  /** Finished orders that were seen unfinished again, as they had been accepted anew while MySQL was away. */
  acceptedAnew: number
  /** Finished orders that were seen unfinished again: Redis had not been told, and MySQL was away. */
  unsettled: number
  /** Rows of orders whose every request was left without an answer. */
  untold: number
  rows: number
  documents: number
  repeatedEvents: number
}

/**
 * Adds to the ledger's violations whatever does not fit. It shares no code with the service: not its queries, not its
 * arithmetic, not its idea of what must be.
 */
export function check(evidence: Evidence): Remarks {
  const { ledger, holdings, events } = evidence
  const conflicts = Map.groupBy(
    holdings.deadLetters.filter(({ code }) => code === 'conflict'),
    ({ order_id }) => order_id
  )
  const { faults, stalls } = evidence
  const judged: Judged = { ledger, faults, outages: outagesOf(faults, stalls) }
  const remarks: Remarks = {
    acceptedTwice: 0,
    conflictsFoundLater: 0,
    acceptedAnew: 0,
    unsettled: 0,
    untold: 0,
    rows: 0,
    documents: holdings.documents.length,
    repeatedEvents: events.repeated()
  }
  for (const order of ledger.orders.values()) {
    const [row] = holdings.rows.get(order.id) ?? []
    const letters = (conflicts.get(order.id) ?? []).map(({ amount }) => toUnits(amount))
    const stored = { amount: row && toUnits(row.amount), letters }
    checkTold(order, stored, judged, remarks)
    checkRefusals(order, stored, ledger)
    checkRegressions(order, judged, remarks)
    if (row && !order.attempts.some(({ status }) => status === 200 || status === 202)) remarks.untold++
  }
  for (const [id, rows] of holdings.rows) {
    remarks.rows += rows.length
    checkRows(id, rows, ledger)
    checkEvents(id, rows[0] as Row, evidence)
  }
  checkTotals(evidence)
  checkDocuments(evidence)
  checkStrayEvents(evidence)
  for (const letter of holdings.deadLetters) checkDeadLetter(letter, evidence)
  checkAudit(evidence)
  return remarks
}

interface Stored {
  amount: bigint | undefined
  /** Amounts of the `conflict` dead letters. */
  letters: (bigint | undefined)[]
}

/** What of the evidence tells whether something is wrong or could not be known. */
interface Judged {
  ledger: Ledger
  faults: DoneFault[]
  outages: (api?: string) => Outage[]
}

/** Every body that was told 202 or 200 is the row, or a dead letter for which a store that was away is the reason. */
function checkTold(order: Told, { amount, letters }: Stored, { ledger, outages }: Judged, remarks: Remarks) {
  const told = order.attempts.filter(({ status }) => status === 200 || status === 202)
  const wasAway = (attempt: Attempt) => outages(attempt.api).some(outage => isFelt(outage, attempt))
  const excused = order.attempts.some(wasAway)
  for (const body of new Set(told.map(attempt => attempt.amount))) {
    const text = toText(body)
    if (body !== amount) {
      if (!letters.includes(body)) {
        const instead = amount === undefined ? 'there is no row' : `the row has ${toText(amount)}`
        ledger.violate('lost', 'accepted and gone', order.id, `${text} was accepted, ${instead}`)
      } else if (excused) remarks.conflictsFoundLater++
      else
        ledger.violate(
          'wrong',
          'two bodies accepted while no store was away',
          order.id,
          `${text} is a conflict`
        )
    }
    const accepted = told.filter(attempt => attempt.status === 202 && attempt.amount === body)
    if (accepted.length < 2) continue
    if (accepted.some(wasAway)) remarks.acceptedTwice++
    else ledger.violate('wrong', 'accepted twice while no store was away', order.id, text)
  }
}

/** A 409 is told in the name of another body, which must be there. */
function checkRefusals(order: Told, { amount, letters }: Stored, ledger: Ledger) {
  const refused = order.attempts.filter(({ status }) => status === 409)
  for (const refusal of refused) {
    const text = `${toText(refusal.amount)} was refused`
    if (!order.attempts.some(other => other.amount !== refusal.amount && other.began < refusal.ended)) {
      ledger.violate('wrong', '409 without another body', order.id, text)
    } else if (
      (amount === undefined || amount === refusal.amount) &&
      letters.every(letter => letter === refusal.amount)
    ) {
      ledger.violate('wrong', '409 for a body that is nowhere', order.id, text)
    }
  }
}

/**
 * A finished order is never seen unfinished again. It can only be excused while MySQL, which alone knew that it was
 * finished, is away: when it was accepted anew in that outage, or when its worker or Redis had a fault before Redis was
 * told.
 */
function checkRegressions(order: Told, { ledger, faults, outages }: Judged, remarks: Remarks) {
  for (const regression of order.regressions) {
    const finishedAt = order.finished?.at ?? 0
    const away = outages().filter(outage => outage.target === 'mariadb' && isFelt(outage, regression))
    const anew = order.attempts.some(
      attempt =>
        attempt.ended > finishedAt &&
        attempt.began < regression.ended &&
        attempt.status !== 409 &&
        away.some(outage => isFelt(outage, attempt))
    )
    const life = { began: order.attempts[0]?.began ?? 0, ended: regression.ended }
    const untold =
      away.length > 0 &&
      [...outages(), ...faults].some(
        ({ target, ...span }) => /^(redis|worker-\d)$/.test(target) && overlaps(span, life)
      )
    if (anew) remarks.acceptedAnew++
    else if (untold) remarks.unsettled++
    else {
      const detail = `${regression.source}, sent ${(regression.began - finishedAt).toFixed(0)} ms after it was seen finished: ${regression.document}`
      ledger.violate('wrong', 'processing after completed', order.id, detail)
    }
  }
}

function checkRows(id: string, rows: Row[], ledger: Ledger) {
  if (rows.length > 1) ledger.violate('doubled', 'several rows', id, `${rows.length} rows`)
  const order = ledger.orders.get(id)
  for (const row of rows) {
    const amount = toUnits(row.amount)
    const wrong = (what: string) => ledger.violate('wrong', what, id, JSON.stringify(row))
    if (!order) wrong('a row of an order that was never sent')
    else if (amount === undefined || !order.attempts.some(attempt => attempt.amount === amount))
      wrong('a row with an amount that was never sent')
    // Nothing in the load can fail, so an order that failed was made to fail by an outage.
    if (row.status !== 'completed') wrong(`a row that is ${row.status}`)
    else if (amount !== undefined) {
      const tax = taxOn(amount)
      if (toUnits(row.tax) !== tax || toUnits(row.total) !== amount + tax) wrong('a wrong tax or total')
      if (row.processed_at === null || row.processed_at < row.created_at) wrong('a wrong time')
    }
  }
}

/** The totals are what the rows add up to. */
function checkTotals({ ledger, holdings: { rows, totals } }: Evidence) {
  const counted = { processing: 0n, completed: 0n, failed: 0n, revenue: 0n }
  for (const row of [...rows.values()].flat()) {
    if (row.status in counted) counted[row.status as 'completed']++
    if (row.status === 'completed') counted.revenue += toUnits(row.total) ?? 0n
  }
  for (const name of ['processing', 'completed', 'failed'] as const) {
    if (BigInt(totals[name]) !== counted[name])
      ledger.violate('doubled', 'wrong totals', '', `${name}: ${totals[name]}, rows: ${counted[name]}`)
  }
  if (toUnits(totals.revenue) !== counted.revenue)
    ledger.violate(
      'doubled',
      'wrong totals',
      '',
      `revenue: ${totals.revenue}, rows: ${toText(counted.revenue)}`
    )
}

/** What Redis keeps of an order is what its row says. */
function checkDocuments({ ledger, holdings }: Evidence) {
  for (const { id, text, ttl } of holdings.documents) {
    const [row] = holdings.rows.get(id) ?? []
    const wrong = (what: string) => ledger.violate('wrong', what, id, `${text} | ${JSON.stringify(row)}`)
    let document: Record<string, unknown>
    try {
      document = JSON.parse(text)
    } catch {
      wrong('a document that is no JSON')
      continue
    }
    if (!row) wrong('a document without a row')
    else if (
      document.order_id !== id ||
      document.status !== row.status ||
      (['amount', 'tax', 'total'] as const).some(name => toUnits(document[name]) !== toUnits(row[name])) ||
      (['created_at', 'updated_at', 'processed_at'] as const).some(
        name => document[name] !== (row[name] && `${row[name].replace(' ', 'T')}Z`)
      )
    )
      wrong('a document that differs from its row')
    else if (ttl < 0) wrong('a finished document without a TTL')
  }
}

/** Exactly one event tells that an order is completed, however often it is delivered. */
function checkEvents(id: string, row: Row, { ledger, events }: Evidence) {
  if (row.status !== 'completed') return
  const ids = events.completed.get(id) ?? []
  if (ids.length === 0) ledger.violate('doubled', 'completed without an event', id, '')
  if (ids.length > 1) ledger.violate('doubled', 'several events', id, ids.join(', '))
  const failed = events.failed.get(id)
  if (failed) ledger.violate('wrong', 'an event order.failed of a completed order', id, failed.join(', '))
}

function checkStrayEvents({ ledger, holdings, events }: Evidence) {
  const owners = new Map<string, string>()
  for (const [id, eventIds] of events.completed) {
    if (holdings.rows.get(id)?.[0]?.status !== 'completed')
      ledger.violate('doubled', 'an event of no completed order', id, eventIds.join(', '))
    for (const eventId of eventIds) {
      const other = owners.get(eventId)
      if (other) ledger.violate('doubled', 'one event id for two orders', id, `${eventId}, also of ${other}`)
      owners.set(eventId, id)
    }
  }
  for (const text of events.faulty) ledger.violate('wrong', 'an entry of events that is no event', '', text)
}

/** Nothing in the load can fail but by its conflict with an order that stands. */
function checkDeadLetter({ code, order_id, amount, fields }: DeadLetter, { ledger, holdings }: Evidence) {
  const wrong = (what: string) => ledger.violate('wrong', what, order_id, fields)
  const order = ledger.orders.get(order_id)
  const [row] = holdings.rows.get(order_id) ?? []
  if (code !== 'conflict') wrong(`a dead letter "${code}"`)
  else if (!order?.attempts.some(attempt => attempt.amount === toUnits(amount)))
    wrong('a dead letter of a body that was never sent')
  else if (!row) wrong('a conflict without a row')
  else if (toUnits(row.amount) === toUnits(amount)) wrong('a conflict with the very same body')
}

/** The service's own account agrees with what the stores hold. */
function checkAudit({ ledger, holdings: { rows, deadLetters }, audit }: Evidence) {
  if (!audit) return
  const statuses = [...rows.values()].flat().map(({ status }) => status)
  const held = {
    completed: statuses.filter(status => status === 'completed').length,
    failed: statuses.filter(status => status === 'failed').length,
    conflicts: deadLetters.filter(({ code }) => code === 'conflict').length,
    dead_letters: deadLetters.length,
    // No fault of the run takes data from a store that has promised to keep it.
    lost: 0
  }
  for (const name of ['completed', 'failed', 'conflicts', 'dead_letters', 'lost'] as const) {
    if (audit[name] !== held[name])
      ledger.violate('wrong', 'an audit that is not so', '', `${name}: ${audit[name]}, held: ${held[name]}`)
  }
}
