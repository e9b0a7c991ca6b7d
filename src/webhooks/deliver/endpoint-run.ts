import type { FastifyBaseLogger } from 'fastify'
import { signatureHeaders } from '../signature.ts'
import { type Pauses, parkPause, retryPause } from './pauses.ts'
import type { ClaimedEndpoint, DueDelivery, EndpointStateChange, Queue, Settlement } from './queue.ts'
import type { Attempt, Sender } from './send.ts'

/** What became of one attempt, for the metrics. */
export type AttemptOutcome = 'delivered' | 'retried' | 'failed'

/** The dependencies of a run. */
export interface EndpointRunOptions {
  queue: Queue
  sender: Pick<Sender, 'send'>
  pauses: Pauses
  /** Aborted when the process can wait no longer for attempts. */
  leaving: AbortSignal
  /** Returns whether the run must end after the attempts in flight. */
  mustEnd: () => boolean
  log: FastifyBaseLogger
  count: (outcome: AttemptOutcome) => void
}

/** The most ids of deliveries that one query reads. */
const CHUNK = 64

/** The deliveries of an endpoint that are in flight at a time. */
const LANES = 4

/** Above this time of an attempt, only one delivery of the endpoint is in flight (ms). */
const SLOW = 1000

/**
 * Sends what is due for one endpoint, until nothing is due, the endpoint is parked or gone, or the run must end. The
 * first delivery is sent alone, and so is each delivery of an endpoint that is slow or fails. While its answers are
 * quick, four are in flight. A delivery is read just before it is sent, so it goes to the URL that the endpoint has then,
 * and only the payloads in flight are in memory.
 * @throws {StoreUnavailable} while MySQL is unavailable, after the attempts in flight.
 */
export async function runEndpoint(endpoint: ClaimedEndpoint, options: EndpointRunOptions): Promise<void> {
  const { queue, mustEnd } = options
  const state: RunState = { ...endpoint, over: false, quick: false, settling: [], error: undefined }
  while (!state.over && !mustEnd()) {
    const due = await queue.next(endpoint.id, state.quick ? CHUNK : 1, state.parked)
    if (due.length === 0) return
    const waiting = due.values()
    const lane = async () => {
      for (const id of waiting) {
        const delivery = await queue.read(endpoint.id, id).catch(error => fail(state, error))
        if (state.over || mustEnd()) return
        if (delivery) await deliver(delivery, state, options)
        if (state.over || !state.quick || mustEnd()) return
      }
    }
    await Promise.all(Array.from({ length: LANES }, lane))
    await Promise.all(state.settling.splice(0))
    if (state.error) throw state.error
  }
}

/** What a run knows of its endpoint. `over` ends the run. */
interface RunState extends ClaimedEndpoint {
  over: boolean
  quick: boolean
  /** The outcomes that are being recorded. The next request does not wait for them. */
  settling: Promise<void>[]
  /** Why a delivery could not be read, or an outcome could not be recorded. */
  error: unknown
}

/** Ends the run after the attempts in flight, because MySQL failed. */
function fail(state: RunState, error: unknown): undefined {
  state.error ??= error
  state.over = true
}

async function deliver(delivery: DueDelivery, state: RunState, options: EndpointRunOptions): Promise<void> {
  const { queue, sender, leaving, count } = options
  const { id, message_id, payload, url, secret, previous_secret } = delivery
  const secrets = previous_secret === null ? [secret] : [secret, previous_secret]
  const timestamp = Math.floor(Date.now() / 1000)
  const headers = signatureHeaders({ id: message_id, timestamp, body: payload }, secrets)
  const attempt = await sender.send({ url, headers, body: payload }, leaving)
  // The attempt was cut off. Another process repeats it.
  if (leaving.aborted && attempt.status === null) return
  const isSuccess = attempt.status !== null && attempt.status >= 200 && attempt.status < 300
  state.quick = isSuccess && attempt.duration < SLOW
  const outcome = isSuccess
    ? { outcome: { status: 'delivered' as const }, change: afterSuccess(state) }
    : afterFailure(delivery, attempt, state, options)
  const { status } = outcome.outcome
  const settled = queue.settle({ endpoint: state.id, url, delivery: id, attempt, ...outcome }).then(
    () => count(status === 'waiting' ? 'retried' : status),
    error => fail(state, error)
  )
  state.settling.push(settled)
}

/** Returns the change of the endpoint; undefined when the last delivery succeeded, too. */
function afterSuccess(state: RunState): EndpointStateChange | undefined {
  const { failures, parked } = state
  state.failures = 0
  state.parked = false
  return failures > 0 || parked ? { kind: 'works', wasParked: parked } : undefined
}

function afterFailure(
  { attempts, age, id }: DueDelivery,
  { status, duration, error, retryAfter }: Attempt,
  state: RunState,
  { pauses, log }: EndpointRunOptions
): Pick<Settlement, 'outcome' | 'change'> {
  const facts = { endpoint: state.id, delivery: id, status, error }
  if (status === 410) {
    state.over = true
    log.warn(facts, 'webhook endpoint is gone and was disabled')
    return { outcome: { status: 'failed' }, change: { kind: 'gone' } }
  }
  const pause = retryPause(pauses, attempts + 1, attempts === 0 ? duration : age)
  const outcome = pause === undefined ? { status: 'failed' as const } : { status: 'waiting' as const, pause }
  // The attempts in flight when the endpoint was parked show nothing new.
  if (state.over) return { outcome }
  // A delivery that keeps failing alone must not park an endpoint that takes the others.
  if (attempts === 0 || state.parked) state.failures++
  const asked = status === 429 || status === 503 ? Math.min(retryAfter ?? 0, pauses.longestRetryAfter) : 0
  const park = Math.max(parkPause(pauses, state.failures), asked)
  if (park > 0) {
    if (!state.parked) log.info({ ...facts, failures: state.failures, park }, 'webhook endpoint parked')
    state.parked = true
    state.over = true
  }
  return { outcome, change: { kind: 'fails', failures: state.failures, park } }
}
