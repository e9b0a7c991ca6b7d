import type { FastifyBaseLogger } from 'fastify'
import { singleFlight } from '../../async/single-flight.ts'
import { isUnavailable } from '../../stores/errors.ts'
import { type AttemptOutcome, runEndpoint } from './endpoint-run.ts'
import { PAUSES, type Pauses } from './pauses.ts'
import type { ClaimedEndpoint, Queue } from './queue.ts'
import type { Sender } from './send.ts'

/** The dependencies of the dispatcher of one process. Times are in milliseconds. */
export interface DispatcherOptions {
  queue: Queue
  sender: Pick<Sender, 'send'>
  /** How long an endpoint belongs to this process after the last renewal. */
  lease: number
  /** The longest time that a stop waits for attempts in flight. */
  patience: number
  log: FastifyBaseLogger
  count: (outcome: AttemptOutcome) => void
  /** By default, those of the service. */
  pauses?: Pauses
}

/** Sends the deliveries that are due. Each endpoint has a run of its own, so none waits for another. */
export interface Dispatcher {
  /**
   * Begins a run for each endpoint that something is due for.
   * @returns false: there is never more work to do at once.
   */
  poll: () => Promise<false>
  /** Looks for due deliveries now. Call it after deliveries were added. */
  wake: () => void
  /** Begins no attempt, waits for those in flight, and releases the endpoints. */
  stop: () => Promise<void>
}

/** The endpoints that one process serves at a time. */
const MOST_ENDPOINTS = 256

/** How often a lease is renewed before it would end. */
const RENEWALS = 4

/** How long a run may take while other endpoints wait for their turn (ms). */
const TURN = 10_000

/** Creates the dispatcher of a process. */
export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { queue, lease, log, pauses = PAUSES } = options
  const runs = new Map<string, Promise<void>>()
  const leaving = new AbortController()
  let stopping = false
  let looking: Promise<void> | undefined
  let again = false
  let renewal: NodeJS.Timeout | undefined

  // A failure is that of MySQL, which the runs find, too.
  const renew = singleFlight(() => queue.renew([...runs.keys()], lease).catch(() => {}))

  const run = async (endpoint: ClaimedEndpoint) => {
    const began = performance.now()
    const isTurnOver = () => runs.size >= MOST_ENDPOINTS && performance.now() - began > TURN
    const mustEnd = () => stopping || isTurnOver()
    try {
      await runEndpoint(endpoint, { ...options, pauses, leaving: leaving.signal, mustEnd })
    } catch (error) {
      // The deliveries wait until MySQL is available again.
      if (!isUnavailable(error, 'mysql'))
        log.error({ err: error, endpoint: endpoint.id }, 'webhook run failed')
    }
    // Without a release, the lease ends by itself.
    await queue.release(endpoint.id).catch(() => {})
    runs.delete(endpoint.id)
    if (runs.size > 0) return
    clearInterval(renewal)
    renewal = undefined
  }

  const lookOnce = async () => {
    const free = MOST_ENDPOINTS - runs.size
    if (stopping || free <= 0) return
    for (const id of await queue.candidates(free)) {
      if (stopping || runs.has(id)) continue
      const endpoint = await queue.claim(id, lease)
      if (!endpoint) continue
      runs.set(id, run(endpoint))
      // The leases are renewed while there are runs, also during a stop, which may outlast a lease.
      renewal ??= setInterval(renew, lease / RENEWALS)
    }
  }

  /** Looks once more when it was called in the meantime, since the first look may have come too early. */
  const look = async () => {
    again = looking !== undefined
    looking ??= (async () => {
      await lookOnce()
      if (again) await lookOnce()
    })().finally(() => {
      looking = undefined
    })
    await looking
  }

  return {
    poll: async () => {
      await look()
      return false
    },
    // A failure is that of MySQL, which the next poll reports.
    wake: () => void look().catch(() => {}),
    stop: async () => {
      stopping = true
      const timer = setTimeout(() => leaving.abort(), options.patience)
      await looking?.catch(() => {})
      await Promise.all(runs.values())
      clearTimeout(timer)
    }
  }
}
