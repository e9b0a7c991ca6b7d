import { Deadline, pause } from './deadline.ts'
import { WaitTimeoutError } from './errors.ts'
import type { Transport } from './transport.ts'
import type { CallOptions, Order } from './types.ts'

/** Options of `waitFor`. */
export interface WaitOptions extends CallOptions {
  /** The longest time (ms). 60,000 by default. */
  timeout?: number | undefined
}

/** The longest time that the service waits in one request (s). */
const LONGEST_WAIT = 60

/** How much earlier the answer comes than the time is up (ms), so that a timeout still has the order. */
const MARGIN = 250

/** The shortest pause between two requests (ms). A process that stops answers at once. */
const SHORTEST_PAUSE = 200

/** Reads an order again and again, with requests that the service holds, until it is final. */
export async function waitFor(
  transport: Transport,
  path: string,
  { timeout = 60_000, signal }: WaitOptions
): Promise<Order> {
  const end = performance.now() + timeout
  const deadline = new Deadline(signal, timeout)
  let order: Order | undefined
  try {
    for (;;) {
      const begun = performance.now()
      const seconds = Math.min(LONGEST_WAIT, Math.max(0, Math.floor((end - begun - MARGIN) / 1000)))
      const { value } = await transport.request<Order>({
        method: 'GET',
        path,
        headers: { prefer: `wait=${seconds}` },
        wait: seconds * 1000,
        signal: deadline.signal
      })
      if (value.status !== 'processing') return value
      order = value
      await pause(Math.max(0, begun + SHORTEST_PAUSE - performance.now()), deadline.signal)
    }
  } catch (error) {
    signal?.throwIfAborted()
    if (!deadline.signal.aborted) throw error
    throw new WaitTimeoutError(`The order is not final after ${timeout} ms.`, order)
  } finally {
    deadline.end()
  }
}
