import { resolveConfig } from '../../schema/config/resolve.ts'
import { DEFAULT_TENANT } from '../../schema/http/key.ts'
import { createAppend } from '../../src/orders/accept/append.ts'
import { toCandidate } from '../../src/orders/accept/candidate.ts'
import { createWatermarks } from '../../src/orders/audit/watermarks.ts'
import { inChunks } from './peers/shared/chunks.ts'
import { withApp } from './stores.ts'

/**
 * Accepts orders with the script of the api, but without HTTP and without the look-up in MySQL. The argument is the
 * number of orders. The program reads the environment variables of the service.
 */
const { TAX_RATE } = resolveConfig({ ...process.env, MODE: 'api' })

await withApp({ env: process.env as Record<string, string> }, async ({ stores: { redis }, keys }) => {
  const append = createAppend({
    redis,
    keys,
    watermarks: createWatermarks(1),
    timeout: 10_000,
    maxBacklog: Number.MAX_SAFE_INTEGER,
    minReplicas: 0,
    maxBacklogBytes: Number.MAX_SAFE_INTEGER
  })
  await inChunks(250, async orders => {
    const candidates = orders.map(order =>
      toCandidate(order, TAX_RATE, {
        tenant: DEFAULT_TENANT,
        requestId: crypto.randomUUID(),
        traceparent: ''
      })
    )
    const answers = await append(candidates, 0)
    const refused = answers.filter(({ kind }) => kind !== 'accepted').length
    if (refused > 0) throw new Error(`${refused} orders were not accepted`)
  })
})
