import { randomBytes } from 'node:crypto'
import { resolveConfig } from '../schema/env.ts'
import { createAppend } from '../src/orders/append.ts'
import { toCandidate } from '../src/orders/candidate.ts'
import { withApp } from './stores.ts'

/**
 * Accepts orders as the api does, with the same script, and leaves out HTTP and the look-up in MySQL. The argument says
 * how many; the environment is the service's.
 */
const count = Number(process.argv[2])
const BATCH = 250
const config = resolveConfig({ ...process.env, MODE: 'api' })
const began = performance.now()

await withApp({ env: process.env as Record<string, string> }, async ({ redis, keys }) => {
  const append = createAppend({ redis, keys, timeout: 10_000, maxBacklog: Number.MAX_SAFE_INTEGER })
  for (let from = 0; from < count; from += BATCH) {
    const candidates = Array.from({ length: Math.min(BATCH, count - from) }, (_, index) => {
      const order = { order_id: `${randomBytes(4).toString('hex')}-fill-${from + index}`, amount: 12.34 }
      return toCandidate(order, config.TAX_RATE, { requestId: crypto.randomUUID(), traceparent: '' })
    })
    const answers = await append(candidates, 0)
    const refused = answers.filter(({ kind }) => kind !== 'accepted').length
    if (refused > 0) throw new Error(`${refused} orders were not accepted`)
  }
})

console.log(JSON.stringify({ count, seconds: (performance.now() - began) / 1000 }))
