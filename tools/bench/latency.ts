import { setTimeout as delay } from 'node:timers/promises'

/** The pause between two orders, and between two reads of the same order (ms). */
const EVERY = 40
const BETWEEN_READS = 2

/** The longest time that an order may take (ms). */
const WITHIN = 30_000

/**
 * Measures the time from the POST of an order until a GET returns `completed`. Returns p50 and p99 in ms. Posts one
 * order every 40 ms for some seconds, and does not wait for earlier orders.
 */
export async function sampleLatency(
  url: string,
  seconds: number,
  signal: AbortSignal
): Promise<[p50: number, p99: number]> {
  const samples: Promise<number>[] = []
  for (let number = 0; number < (seconds * 1000) / EVERY; number++) {
    samples.push(sample(url, `sample-${process.pid}-${Date.now()}-${number}`, signal))
    await delay(EVERY, undefined, { signal })
  }
  const sorted = (await Promise.all(samples)).toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN
  return [at(0.5), at(0.99)]
}

async function sample(url: string, order_id: string, signal: AbortSignal): Promise<number> {
  const began = performance.now()
  const posted = await fetch(`${url}/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ order_id, amount: 10 }),
    signal
  })
  if (posted.status !== 202) throw new Error(`${url}: POST was answered ${posted.status}`)
  await posted.arrayBuffer()
  while (performance.now() - began < WITHIN) {
    const answer = await fetch(`${url}/orders/${order_id}`, { signal })
    if (((await answer.json()) as { status: string }).status === 'completed') return performance.now() - began
    await delay(BETWEEN_READS)
  }
  throw new Error(`${url}: ${order_id} was not completed within ${WITHIN / 1000} s`)
}
