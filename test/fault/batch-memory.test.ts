import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { expect, test } from 'vitest'
import { startService } from '../harness/service.ts'
import { PATIENT, useSpace } from '../harness/space.ts'
import { byLength } from './long.ts'

const space = await useSpace()

/** The sizes of the bodies (MB): of the warm-up, of a small and of a large body. */
const [WARM_UP, SMALL, LARGE] = byLength([80, 20, 80], [200, 100, 400])
/** How much more memory the large body may take (MB). */
const ALLOWED = 20

const MEGABYTE = 1024 * 1024

/** The orders of each body are repeats of these orders of 8 KB, so that the stores do not grow. */
const metadata = Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`key-${n}`, 'x'.repeat(480)]))
const ORDERS = Array.from(
  { length: 100 },
  (_, n) => `${JSON.stringify({ order_id: `memory-${n}`, amount: 1, metadata })}\n`
)

/** Sends a body of about this size (MB) in one batch, and reads the results. Returns the number of results. */
async function send(url: string, size: number): Promise<{ sent: number; received: number }> {
  const batch = request(`${url}/orders/batch`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' }
  })
  const block = ORDERS.join('')
  let sent = 0
  const sending = (async () => {
    for (let bytes = 0; bytes < size * MEGABYTE; bytes += block.length) {
      sent += ORDERS.length
      if (!batch.write(block)) await once(batch, 'drain')
    }
    batch.end()
  })()
  const [response] = (await once(batch, 'response')) as [IncomingMessage]
  let received = 0
  for await (const chunk of response.setEncoding('latin1')) received += String(chunk).split('\n').length - 1
  await sending
  return { sent, received }
}

// Only Linux reports and resets the peak of the resident memory in /proc.
test.runIf(process.platform === 'linux')(
  'I7: the memory of an api does not depend on the size of a batch',
  { timeout: byLength(180_000, 600_000) },
  async () => {
    const api = await startService(space, 'api', {
      ...PATIENT,
      MAX_BATCH_ORDERS: '10000000',
      RATE_LIMIT_MAX: '0',
      // With a large heap, most of the peak would be garbage that is not collected yet.
      NODE_OPTIONS: '--max-old-space-size=128'
    })
    const peakOf = async (size: number) => {
      writeFileSync(`/proc/${api.pid}/clear_refs`, '5')
      const began = performance.now()
      const { sent, received } = await send(api.url, size)
      expect(received).toBe(sent)
      const status = readFileSync(`/proc/${api.pid}/status`, 'utf8')
      const peak = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
      const seconds = (performance.now() - began) / 1000
      console.info(
        `a batch of ${size} MB: peak ${peak.toFixed(0)} MB, ${Math.round(sent / seconds)} orders/s`
      )
      return peak
    }
    await peakOf(WARM_UP)
    const small = await peakOf(SMALL)
    const large = await peakOf(LARGE)
    expect(large).toBeLessThanOrEqual(small + ALLOWED)
  }
)
