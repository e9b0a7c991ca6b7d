import type { Audit } from './audit.ts'
import { checkEvents, checkStrayEvents } from './check-events.ts'
import { checkDocuments, checkTotals } from './check-stores.ts'
import type { EventLog } from './events.ts'
import type { DeadLetter, Holdings, Row } from './holdings.ts'
import type { DoneFault } from './inject.ts'
import type { Attempt, Ledger, OrderHistory } from './ledger.ts'
import { taxOn, toText, toUnits } from './money.ts'
import { isFelt, type Outage, outagesOf } from './outages.ts'
import { partitionOf } from './partition.ts'
import { overlaps } from './spans.ts'
import type { Stall } from './stalls.ts'

/** The input of the checker: the answers that clients got, the contents of the stores, and the faults. */
export interface Evidence {
  ledger: Ledger
  holdings: Holdings
  events: EventLog
  faults: DoneFault[]
  /** The number of partitions. */
  partitions: number
  /** The times in which a store did not answer, for any reason. */
  stalls: Stall[]
  /** Undefined if the service returned no audit. */
  audit: Audit | undefined
}

/** Counts that the report shows although they are not violations. */
export interface Remarks {
  /** Bodies that got 202 more than once while a store was unavailable. */
  acceptedTwice: number
  /**
   * Bodies that got 202 or 200, and became a `conflict` dead letter because a store was unavailable (the limit of I2).
   */
  conflictsFoundLater: number
  /** Finished orders that were shown as unfinished because a second POST was accepted while MySQL was unavailable. */
  acceptedAgain: number
  /** Finished orders that were shown as unfinished because Redis had an old document and MySQL was unavailable. */
  unsettled: number
  /** Rows of orders that were never answered with 200 or 202. */
  unacknowledged: number
  rows: number
  documents: number
  repeatedEvents: number
}

/**
 * Compares the evidence, and adds every contradiction to the violations of the ledger. The checker uses no code of the
 * service, so it does not repeat its errors.
 */
export function check(evidence: Evidence): Remarks {
  const { ledger, holdings, events } = evidence
  const conflicts = Map.groupBy(
    holdings.deadLetters.filter(({ code }) => code === 'conflict'),
    ({ id }) => id
  )
  const { faults, stalls, partitions } = evidence
  const outages = outagesOf(faults, stalls)
  const remarks: Remarks = {
    acceptedTwice: 0,
    conflictsFoundLater: 0,
    acceptedAgain: 0,
    unsettled: 0,
    unacknowledged: 0,
    rows: 0,
    documents: holdings.documents.length,
    repeatedEvents: events.repeated()
  }
  for (const order of ledger.orders.values()) {
    const partition = partitionOf(order.id, partitions)
    const judged = { ledger, faults, outages: (api?: string) => outages({ partition, ...(api && { api }) }) }
    const [row] = holdings.rows.get(order.id) ?? []
    const stored = {
      amount: row && toUnits(row.amount),
      conflicts: (conflicts.get(order.id) ?? []).map(({ amount }) => toUnits(amount))
    }
    checkAcknowledged(order, stored, judged, remarks)
    checkRefusals(order, stored, ledger)
    checkCancels(order, row, ledger)
    checkUnavailable(order, judged)
    checkRegressions(order, judged, remarks)
    if (row && !order.attempts.some(({ status }) => status === 200 || status === 202))
      remarks.unacknowledged++
  }
  for (const [id, rows] of holdings.rows) {
    remarks.rows += rows.length
    checkRows(id, rows, ledger)
    checkEvents(id, rows[0] as Row, evidence)
  }
  checkTotals(evidence)
  checkDocuments(evidence)
  checkStrayEvents(evidence)
  for (const deadLetter of holdings.deadLetters) checkDeadLetter(deadLetter, evidence)
  checkAudit(evidence)
  return remarks
}

interface Stored {
  amount: bigint | undefined
  /** The amounts of the `conflict` dead letters of the order. */
  conflicts: (bigint | undefined)[]
}

/** The evidence that shows whether an unavailable store explains a contradiction. */
interface Judged {
  ledger: Ledger
  faults: DoneFault[]
  /** The outages for the partition of the order. */
  outages: (api?: string) => Outage[]
}

/**
 * Checks that a 503 has a reason: Redis was unavailable for the partition of the order, or the api had a fault itself.
 * So neither the loss of MySQL nor that of another master of Redis refuses an order.
 */
function checkUnavailable(order: OrderHistory, { ledger, faults, outages }: Judged) {
  for (const attempt of order.attempts) {
    if (attempt.status !== 503) continue
    const ofRedis = outages(attempt.api).filter(({ target }) => target === 'redis')
    const ofApi = faults.filter(({ target }) => target === attempt.api)
    if ([...ofRedis, ...ofApi].some(reason => isFelt(reason, attempt))) continue
    ledger.violate('wrong', '503 while Redis was available', order.id, `by ${attempt.api}`)
  }
}

/** Checks that each body that got 202 or 200 is in the row, or is a dead letter that an unavailable store explains. */
function checkAcknowledged(
  order: OrderHistory,
  { amount, conflicts }: Stored,
  { ledger, outages }: Judged,
  remarks: Remarks
) {
  const acknowledged = order.attempts.filter(({ status }) => status === 200 || status === 202)
  const metOutage = (attempt: Attempt) => outages(attempt.api).some(outage => isFelt(outage, attempt))
  const excused = order.attempts.some(metOutage)
  for (const body of new Set(acknowledged.map(attempt => attempt.amount))) {
    const text = toText(body)
    if (body !== amount) {
      if (!conflicts.includes(body)) {
        const instead = amount === undefined ? 'there is no row' : `the row has ${toText(amount)}`
        ledger.violate('lost', 'accepted and gone', order.id, `${text} was accepted, ${instead}`)
      } else if (excused) remarks.conflictsFoundLater++
      else
        ledger.violate(
          'wrong',
          'two bodies accepted while both stores were available',
          order.id,
          `${text} is a conflict`
        )
    }
    const accepted = acknowledged.filter(attempt => attempt.status === 202 && attempt.amount === body)
    if (accepted.length < 2) continue
    if (accepted.some(metOutage)) remarks.acceptedTwice++
    else ledger.violate('wrong', 'accepted twice while both stores were available', order.id, text)
  }
}

/** Checks that after each 409, another body was sent under the same id, and a store has this body. */
function checkRefusals(order: OrderHistory, { amount, conflicts }: Stored, ledger: Ledger) {
  const refused = order.attempts.filter(({ status }) => status === 409)
  for (const refusal of refused) {
    const text = `${toText(refusal.amount)} was refused`
    if (!order.attempts.some(other => other.amount !== refusal.amount && other.began < refusal.ended)) {
      ledger.violate('wrong', '409 without another body', order.id, text)
    } else if (
      (amount === undefined || amount === refusal.amount) &&
      conflicts.every(conflict => conflict === refusal.amount)
    ) {
      ledger.violate('wrong', '409 for a body that is nowhere', order.id, text)
    }
  }
}

/**
 * Checks that an order is cancelled after a cancel that said so, that it is completed after a cancel that came too late,
 * and that a cancel finds every order that was acknowledged before it.
 */
function checkCancels(order: OrderHistory, row: Row | undefined, ledger: Ledger) {
  for (const cancel of order.cancels) {
    const wrong = (what: string) =>
      ledger.violate('wrong', what, order.id, `the row is ${row?.status ?? 'missing'}`)
    if (cancel.status === 200 && row?.status !== 'cancelled') wrong('a cancel that had no effect')
    if (cancel.status === 409 && row?.status !== 'completed') wrong('a cancel refused for no reason')
    const acknowledged = order.attempts.some(
      ({ status, ended }) => (status === 200 || status === 202) && ended < cancel.began
    )
    if (cancel.status === 404 && acknowledged) wrong('a cancel that did not find an acknowledged order')
  }
}

/**
 * Checks that no answer shows a finished order as unfinished. There are two exceptions, both while MySQL is unavailable
 * and Redis does not have the finished order: the order was accepted again in this outage, or a fault of Redis or of a
 * worker prevented the update of the document in Redis.
 */
function checkRegressions(order: OrderHistory, { ledger, faults, outages }: Judged, remarks: Remarks) {
  for (const regression of order.regressions) {
    const finishedAt = order.finished?.at ?? 0
    const mysqlOutages = outages().filter(outage => outage.target === 'mariadb' && isFelt(outage, regression))
    const acceptedAgain = order.attempts.some(
      attempt =>
        attempt.ended > finishedAt &&
        attempt.began < regression.ended &&
        attempt.status !== 409 &&
        mysqlOutages.some(outage => isFelt(outage, attempt))
    )
    const life = { began: order.attempts[0]?.began ?? 0, ended: regression.ended }
    // A worker writes the document of a cancelled order later than the cancel.
    const cancelled = order.finished?.document.includes('"status":"cancelled"') === true
    const outdated =
      mysqlOutages.length > 0 &&
      (cancelled ||
        [...outages(), ...faults].some(
          ({ target, ...span }) => /^(redis|worker-\d)$/.test(target) && overlaps(span, life)
        ))
    if (acceptedAgain) remarks.acceptedAgain++
    else if (outdated) remarks.unsettled++
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
    // No order of the load can fail for a reason of its own, and an outage must not make it fail.
    if (row.status === 'cancelled' && order?.cancels.length === 0) wrong('cancelled by nobody')
    if (row.status !== 'completed' && row.status !== 'cancelled') wrong(`a row that is ${row.status}`)
    else if (amount !== undefined) {
      const tax = row.status === 'cancelled' ? undefined : taxOn(amount)
      const total = tax === undefined ? undefined : amount + tax
      if (toUnits(row.tax ?? '') !== tax || toUnits(row.total ?? '') !== total) wrong('a wrong tax or total')
      if (row.processed_at === null || row.processed_at < row.created_at) wrong('a wrong time')
    }
  }
}

/** Checks that each dead letter is a `conflict` with the row of its order. The load causes no other dead letters. */
function checkDeadLetter({ code, id, amount, fields }: DeadLetter, { ledger, holdings }: Evidence) {
  const wrong = (what: string) => ledger.violate('wrong', what, id, fields)
  const order = ledger.orders.get(id)
  const [row] = holdings.rows.get(id) ?? []
  if (code !== 'conflict') wrong(`a dead letter "${code}"`)
  else if (!order?.attempts.some(attempt => attempt.amount === toUnits(amount)))
    wrong('a dead letter of a body that was never sent')
  else if (!row) wrong('a conflict without a row')
  else if (toUnits(row.amount) === toUnits(amount)) wrong('a conflict with the same body')
}

/** Checks that the audit of the service agrees with the stores. */
function checkAudit({ ledger, holdings: { rows, deadLetters }, audit }: Evidence) {
  if (!audit) return
  const statuses = [...rows.values()].flat().map(({ status }) => status)
  const held = {
    completed: statuses.filter(status => status === 'completed').length,
    failed: statuses.filter(status => status === 'failed').length,
    cancelled: statuses.filter(status => status === 'cancelled').length,
    conflicts: deadLetters.filter(({ code }) => code === 'conflict').length,
    dead_letters: deadLetters.length,
    // No fault of a run deletes data that a store must keep.
    lost: 0
  }
  for (const name of ['completed', 'failed', 'cancelled', 'conflicts', 'dead_letters', 'lost'] as const) {
    if (audit[name] !== held[name])
      ledger.violate(
        'wrong',
        'an audit that differs from the stores',
        '',
        `${name}: ${audit[name]}, held: ${held[name]}`
      )
  }
}
