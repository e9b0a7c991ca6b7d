import { setTimeout as delay } from 'node:timers/promises'
import type { Client, Reply } from './client.ts'
import type { Ledger } from './ledger.ts'
import { type Cancelling, createMix, type Posting } from './mix.ts'
import { type LineResult, postBatch } from './push/batch.ts'
import { type Authorize, orderIdOf } from './tenants.ts'

/** The counts of the load. Every POST of a body is in `sent` and in one other count. */
export interface Counts {
  sent: number
  accepted: number
  replayed: number
  conflict: number
  refused: number
  unavailable: number
  noReply: number
  other: number
  /** The answers to cancels: cancelled, not cancelled because the order was finished, and any other or no answer. */
  cancels: { cancelled: number; finished: number; other: number }
  /** Arrivals that were not sent because too many requests were in flight. */
  skipped: number
  /** 503 answers without a Retry-After header. */
  withoutRetryAfter: number
  /** The time from the planned start of each answered request to its answer (ms). */
  latencies: number[]
}

/** The dependencies of the load. */
export interface LoadOptions {
  seed: number
  /** The number of arrivals a second. */
  rate: number
  clients: Client[]
  authorize: Authorize
  ledger: Ledger
  /** Stops the arrivals. Requests in flight and their retries continue. */
  signal: AbortSignal
  /** Stops the retries, too. */
  abandon: AbortSignal
}

/** The most requests in flight. At the default rate, the longest pause of a store causes fewer. */
const OUTSTANDING = 3000

/** How long a client waits that waits for the final order (s). */
const WAIT = 2

/** The most attempts for a body that gets no answer or a 503, and the longest wait between two attempts (ms). */
const ATTEMPTS = 5
const LONGEST_WAIT = 2000

/**
 * Posts orders at a fixed rate, which does not depend on the speed of the service. Resolves when every request has an
 * answer or has timed out.
 */
export async function runLoad(options: LoadOptions): Promise<Counts> {
  const { seed, rate, clients, signal } = options
  const counts = emptyCounts()
  const inFlight = new Set<Promise<void>>()
  const mix = createMix({ seed, rate, apis: clients.length })
  const start = performance.now()
  for (let next = mix.next().value; ; next = mix.next().value) {
    const due = start + next.at * 1000
    const early = due - performance.now()
    // Timers are too coarse for single arrivals, so arrivals within five milliseconds are sent together.
    if (early > 5) await delay(early, undefined, { signal }).catch(() => {})
    if (signal.aborted) break
    const submission = { ...options, counts }
    const begin = (request: () => Promise<void>) => {
      if (inFlight.size >= OUTSTANDING) {
        counts.skipped++
        return
      }
      const running = request().finally(() => inFlight.delete(running))
      inFlight.add(running)
    }
    // The orders of one batch are of one tenant, because it has one caller.
    for (const batch of Map.groupBy(next.batch, ({ id }) => id.includes('/')).values())
      begin(() => submitBatch(batch, submission))
    for (const posting of next.postings) begin(() => submit(posting, due, submission))
    for (const cancelling of next.cancellings) begin(() => cancel(cancelling, submission))
  }
  await Promise.all(inFlight)
  return counts
}

type Submission = Pick<LoadOptions, 'clients' | 'authorize' | 'ledger' | 'abandon'> & { counts: Counts }

/** Waits before the next attempt, at least as long as the answer asks for. */
async function pause(attempt: number, reply: Reply | undefined, abandon: AbortSignal): Promise<void> {
  const wait = Math.min(LONGEST_WAIT, Math.max(100 * 2 ** attempt, retryAfter(reply) * 1000))
  await delay(wait, undefined, { signal: abandon }).catch(() => {})
}

/** Posts one body as a careful client does. Retries on the next api after a 503 or without an answer. */
async function submit(posting: Posting, due: number, submission: Submission): Promise<void> {
  const { clients, ledger, counts, abandon } = submission
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const client = clients[(posting.api + attempt) % clients.length] as Client
    const began = attempt === 0 ? due : performance.now()
    const reply = await post(posting, client, submission)
    count(reply?.status, counts)
    if (reply?.status === 503 && retryAfter(reply) === 0) counts.withoutRetryAfter++
    if (reply && !posting.waits) counts.latencies.push(performance.now() - began)
    if (reply && reply.status !== 503) return judge(posting, reply, ledger)
    if (posting.amount === undefined) return
    await pause(attempt, reply, abandon)
    if (abandon.aborted) return
  }
}

/**
 * Posts orders with one request as a careful client does. Sends the orders that got no result or a 503 again, with one
 * request to the next api.
 */
async function submitBatch(batch: Posting[], submission: Submission): Promise<void> {
  const { clients, ledger, counts, abandon } = submission
  let left = batch
  for (let attempt = 0; left.length > 0 && attempt < ATTEMPTS; attempt++) {
    if (attempt > 0) await pause(attempt, undefined, abandon)
    if (abandon.aborted) return
    const client = clients[((left[0] as Posting).api + attempt) % clients.length] as Client
    const results = await postAll(left, client, submission)
    for (const [index, result] of results.entries()) {
      count(result?.status, counts)
      if (result && result.status !== 503) judge(left[index] as Posting, result, ledger)
    }
    left = left.filter((_, index) => results[index] === undefined || results[index]?.status === 503)
  }
}

/** Posts orders with one request, and records each result. */
async function postAll(
  batch: Posting[],
  client: Client,
  { ledger, authorize }: Submission
): Promise<(LineResult | undefined)[]> {
  const sent = batch.map(posting =>
    posting.amount === undefined ? undefined : ledger.sending(posting, posting.amount, client.name)
  )
  const headers = authorize((batch[0] as Posting).id)
  const results = await postBatch(
    client,
    batch.map(({ body }) => body),
    headers
  )
  for (const [index, result] of results.entries()) {
    const { order, attempt } = sent[index] ?? {}
    if (!order || !attempt) continue
    if (result) ledger.answered(order, attempt, result.status, result.text)
    else Object.assign(attempt, { ended: performance.now(), error: 'no result in the answer to a batch' })
  }
  return results
}

/** Cancels an order as a careful client does. Retries on the next api after a 503 or without an answer. */
async function cancel({ id, api }: Cancelling, submission: Submission): Promise<void> {
  const { clients, authorize, ledger, counts, abandon } = submission
  for (let number = 0; number < ATTEMPTS; number++) {
    const client = clients[(api + number) % clients.length] as Client
    const { order, attempt } = ledger.cancelling(id, client.name)
    const path = `/orders/${orderIdOf(id)}/cancel`
    const reply = await client.post(path, '', authorize(id)).catch(() => undefined)
    if (reply) ledger.cancelled(order, attempt, reply.status, reply.text)
    counts.cancels[reply?.status === 200 ? 'cancelled' : reply?.status === 409 ? 'finished' : 'other']++
    if (reply && reply.status !== 503) {
      if (![200, 404, 409, 429].includes(reply.status))
        ledger.violate('wrong', 'an answer that a cancel never returns', id, `${reply.status} ${reply.text}`)
      return
    }
    await pause(number, reply, abandon)
    if (abandon.aborted) return
  }
}

async function post(
  posting: Posting,
  client: Client,
  { ledger, authorize }: Submission
): Promise<Reply | undefined> {
  if (posting.amount === undefined) return client.post('/orders', posting.body).catch(() => undefined)
  const { order, attempt } = ledger.sending(posting, posting.amount, client.name)
  try {
    const reply = await client.post('/orders', posting.body, {
      ...authorize(posting.id),
      ...(posting.waits && { prefer: `wait=${WAIT}` })
    })
    ledger.answered(order, attempt, reply.status, reply.text)
    return reply
  } catch (error) {
    attempt.ended = performance.now()
    attempt.error = (error as Error).message
    return undefined
  }
}

/** Records an answer that a client must never get. */
function judge({ id, amount, body }: Posting, { status, text }: LineResult, ledger: Ledger): void {
  if (status === 429) return
  const allowed = amount === undefined ? [400] : [200, 202, 409]
  if (allowed.includes(status)) return
  const what = amount === undefined ? 'a bad body that was not refused' : 'an answer that POST never returns'
  ledger.violate('wrong', what, id, `${status} to ${body}: ${text}`)
}

/** Counts a body by the status of its answer; undefined when it got none. */
function count(status: number | undefined, counts: Counts): void {
  counts.sent++
  if (status === undefined) counts.noReply++
  else if (status === 202) counts.accepted++
  else if (status === 200) counts.replayed++
  else if (status === 409) counts.conflict++
  else if (status === 503) counts.unavailable++
  else if (status >= 400 && status < 500) counts.refused++
  else counts.other++
}

/** Returns the seconds of the header Retry-After; 0 without the header. */
function retryAfter(reply: Reply | undefined): number {
  const seconds = Number(reply?.headers['retry-after'])
  return seconds > 0 ? seconds : 0
}

function emptyCounts(): Counts {
  return {
    sent: 0,
    accepted: 0,
    replayed: 0,
    conflict: 0,
    refused: 0,
    unavailable: 0,
    noReply: 0,
    other: 0,
    cancels: { cancelled: 0, finished: 0, other: 0 },
    skipped: 0,
    withoutRetryAfter: 0,
    latencies: []
  }
}
