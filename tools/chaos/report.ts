import type { Remarks } from './checker.ts'
import { FAILOVERS } from './cluster-faults.ts'
import type { DoneFault } from './inject.ts'
import { groups, type Ledger, type OrderHistory, type Violation } from './ledger.ts'
import type { Counts } from './load.ts'
import { toText } from './money.ts'
import { isFelt, isOfStore } from './outages.ts'
import type { Fault } from './plan.ts'
import type { Subscribers } from './push/subscribers.ts'
import type { Reads } from './reader.ts'
import type { Rest } from './rest.ts'
import { overlaps } from './spans.ts'
import type { Stall } from './stalls.ts'

/** The results of a run. */
export interface Outcome extends Subscribers {
  seed: number
  plan: Fault[]
  faults: DoneFault[]
  stalls: Stall[]
  counts: Counts
  reads: Reads
  ledger: Ledger
  remarks: Remarks
  rest: Rest
  incidents: string[]
}

const EXAMPLES = 20

/** Returns whether the run found no violation, left no work and injected every fault. */
export function passed({ ledger, rest, plan, faults }: Outcome): boolean {
  return (
    ledger.violations.length === 0 &&
    rest.reached &&
    rest.audit?.difference === 0 &&
    faults.length === plan.length
  )
}

/** Renders the report as text. */
export function renderReport(outcome: Outcome): string {
  const { counts, reads, ledger } = outcome
  const found = Map.groupBy(ledger.violations, ({ group }) => group)
  const posts = {
    sent: counts.sent,
    202: counts.accepted,
    200: counts.replayed,
    409: counts.conflict,
    '4xx': counts.refused,
    503: counts.unavailable,
    'no reply': counts.noReply,
    other: counts.other
  }
  const verdict = Object.fromEntries(groups.map(group => [group, found.get(group)?.length ?? 0]))
  return [
    `Seed ${outcome.seed}`,
    '',
    // An object would put keys that are numbers, such as 202, before all other keys.
    renderTable([
      ['sent', '202', '200', '409', '4xx', '503', 'no reply', 'other', ...groups],
      [
        posts.sent,
        posts[202],
        posts[200],
        posts[409],
        posts['4xx'],
        posts[503],
        posts['no reply'],
        posts.other,
        ...groups.map(group => verdict[group] ?? 0)
      ]
    ]),
    '',
    `POST: p50 ${quantile(counts.latencies, 0.5)}, p99 ${quantile(counts.latencies, 0.99)}; ` +
      `503 without Retry-After: ${counts.withoutRetryAfter}; not sent, too many in flight: ${counts.skipped}`,
    `Cancels: ${counts.cancels.cancelled} cancelled, ${counts.cancels.finished} too late, ` +
      `${counts.cancels.other} other answers`,
    `GET:  p50 ${quantile(reads.latencies, 0.5)}, p99 ${quantile(reads.latencies, 0.99)}; ` +
      `sent ${reads.sent}, 200 ${reads.found}, 503 ${reads.unavailable}, no reply ${reads.noReply}`,
    ...renderSubscribers(outcome),
    '',
    ...renderFaults(outcome),
    '',
    ...renderOutages(outcome),
    ...renderStalls(outcome),
    ...renderRest(outcome),
    '',
    ...renderIncidents(outcome.incidents),
    ...renderViolations(outcome)
  ].join('\n')
}

function renderSubscribers({ followers, receivers }: Outcome): string[] {
  const ofFollowers = followers.map(
    ({ name, received, repeats, connections, resets }) =>
      `${name}: ${received.size} events on ${connections} connections, ${resets} resets, ${repeats.length} events again`
  )
  const ofReceivers = receivers.map(({ name, received }) => {
    const again = [...received.values()].reduce((sum, times) => sum + times - 1, 0)
    return `${name}: ${received.size} events, ${again} delivered again`
  })
  return [...ofFollowers, ...ofReceivers]
}

function renderFaults({ plan, faults }: Outcome): string[] {
  const planned = Map.groupBy(plan, ({ kind }) => kind)
  const done = Map.groupBy(faults, ({ kind }) => kind)
  const kinds = [...planned.keys()].sort()
  return [
    `Faults: ${faults.length} of ${plan.length} planned`,
    renderTable([
      ['kind', 'planned', 'done'],
      ...kinds.map(kind => [kind, planned.get(kind)?.length ?? 0, done.get(kind)?.length ?? 0])
    ]),
    ...renderChanges(faults)
  ]
}

/** Counts the changes of a cluster. */
function renderChanges(faults: DoneFault[]): string[] {
  const failovers = faults.reduce((sum, { kind }) => sum + (FAILOVERS[kind] ?? 0), 0)
  const reshards = faults.filter(({ kind }) => kind === 'reshard').length
  return failovers + reshards > 0 ? [`Failovers: ${failovers}, slots moved: ${reshards}`] : []
}

/** Counts the answers to valid bodies during a fault of a store, without its first second. */
function renderOutages({ faults, ledger }: Outcome): string[] {
  const attempts = [...ledger.orders.values()].flatMap(order => order.attempts)
  const rows = [...Map.groupBy(faults, ({ kind }) => kind)].flatMap(([kind, list]) => {
    if (!isOfStore(kind)) return []
    const sent = attempts.filter(({ began }) =>
      list.some(fault => began > fault.began + 1000 && began < fault.ended)
    )
    if (sent.length === 0) return []
    const unavailable = sent.filter(({ status }) => status === 503).length
    const silent = sent.filter(({ status }) => status === 0).length
    const good = (100 * (sent.length - unavailable - silent)) / sent.length
    const latencies = sent
      .filter(({ status, waits }) => status > 0 && !waits)
      .map(({ began, ended }) => ended - began)
    return [[kind, sent.length, `${good.toFixed(2)} %`, unavailable, silent, quantile(latencies, 0.99)]]
  })
  if (rows.length === 0) return []
  return [
    'POSTs sent more than a second into a fault of a store (another fault may last at the same time)',
    renderTable([['kind', 'sent', '202, 200, 409', '503', 'no reply', 'p99'], ...rows]),
    ''
  ]
}

/**
 * Lists the stalls without a fault. The report must show them, because the checker accepts some cases during a stall.
 */
function renderStalls({ stalls, faults }: Outcome): string[] {
  const own = stalls.filter(
    stall => !faults.some(fault => fault.target === stall.target && isFelt(fault, stall))
  )
  return [...Map.groupBy(own, ({ target }) => target)].map(([target, list]) => {
    const lengths = list.map(({ began, ended }) => ended - began)
    const seconds = lengths.reduce((sum, length) => sum + length, 0) / 1000
    return (
      `Without a fault ${target} stalled ${list.length} times, ${seconds.toFixed(1)} s in all, ` +
      `at most ${(Math.max(...lengths) / 1000).toFixed(1)} s`
    )
  })
}

function renderRest({ rest, remarks }: Outcome): string[] {
  const left = Object.entries(rest.left).map(([name, count]) => `${name} ${count}`)
  const audit = rest.audit && Object.entries(rest.audit).map(([name, count]) => `${name} ${count}`)
  return [
    rest.reached
      ? `At rest after ${rest.seconds.toFixed(0)} s`
      : `NOT AT REST after ${rest.seconds.toFixed(0)} s: ${left.join(', ')}`,
    `Audit: ${audit ? audit.join(', ') : 'NONE: the service returned no audit'}`,
    `Held: ${remarks.rows} rows (${remarks.unacknowledged} of orders without a 2xx), ${remarks.documents} documents`,
    `While a store was unavailable: ${remarks.acceptedTwice} orders accepted twice, ` +
      `${remarks.conflictsFoundLater} conflicts found after the accept, ` +
      `${remarks.acceptedAgain} finished orders seen unfinished after a second accept, ` +
      `${remarks.unsettled} with an old document in Redis; ` +
      `events delivered again: ${remarks.repeatedEvents}`
  ]
}

function renderIncidents(incidents: string[]): string[] {
  if (incidents.length === 0) return []
  const shown = [...Map.groupBy(incidents, line => line)]
    .slice(0, EXAMPLES)
    .map(([line, same]) => `  ${same.length} × ${line.replaceAll('\n', '\n  ')}`)
  return [`Incidents: ${incidents.length}`, ...shown, '']
}

function renderViolations({ ledger, faults, stalls }: Outcome): string[] {
  const lines: string[] = []
  for (const group of groups) {
    const inGroup = ledger.violations.filter(violation => violation.group === group)
    for (const [what, list] of Map.groupBy(inGroup, violation => violation.what)) {
      lines.push(`${group}: ${what} (${list.length})`)
      for (const violation of list.slice(0, EXAMPLES))
        lines.push(...renderViolation(violation, ledger.orders.get(violation.id), { faults, stalls }))
    }
  }
  return lines
}

/** Renders one violation, with every answer about the order and the faults at that time. */
function renderViolation(
  { id, detail }: Violation,
  order: OrderHistory | undefined,
  { faults, stalls }: Pick<Outcome, 'faults' | 'stalls'>
): string[] {
  const lines = [`  ${id} ${detail}`]
  if (!order) return lines
  for (const { amount, api, began, ended, status, error } of order.attempts) {
    const names = [
      ...faults
        .filter(fault => overlaps({ began, ended }, fault))
        .map(({ kind, target }) => `${kind} ${target}`),
      ...stalls
        .filter(stall => overlaps({ began, ended }, stall))
        .map(({ target }) => `no answer of ${target}`)
    ]
    const answer = status === 0 ? error || 'no answer' : status
    lines.push(
      `    ${began.toFixed(0)}–${ended.toFixed(0)} ms POST ${toText(amount)} to ${api}: ${answer}` +
        (names.length > 0 ? ` [${names.join(', ')}]` : '')
    )
  }
  if (order.finished) lines.push(`    seen finished at ${order.finished.at.toFixed(0)} ms`)
  return lines
}

function renderTable(rows: (string | number)[][]): string {
  const cells = rows.map(row =>
    row.map(cell => (typeof cell === 'number' ? cell.toLocaleString('en') : cell))
  )
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map(row => row[column]?.length ?? 0)))
  return cells
    .map(row =>
      row
        .map((cell, column) =>
          typeof rows.at(-1)?.[column] === 'number'
            ? cell.padStart(widths[column] ?? 0)
            : cell.padEnd(widths[column] ?? 0)
        )
        .join('  ')
        .trimEnd()
    )
    .map(line => `  ${line}`)
    .join('\n')
}

function quantile(values: number[], share: number): string {
  if (values.length === 0) return '–'
  const sorted = Float64Array.from(values).sort()
  return `${(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number).toFixed(1)} ms`
}
