import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { newWebhookSecret, signatureHeaders } from '../../src/webhooks/signature.ts'
import { freePort } from '../../tools/local/ports.ts'
import { until } from '../harness/space.ts'
import { blocksOf, read } from './pages.ts'

test('the receiver in docs/webhooks.md runs without a change, and verifies signatures', async () => {
  expect(blocksOf(await read('docs/webhooks.md'), 'ts')).toEqual([
    await read('test/docs/receive-webhooks.ts')
  ])
  const secret = newWebhookSecret()
  const port = await freePort()
  const entry = join(import.meta.dirname, 'receive-webhooks.ts')
  const receiver = execFile(process.execPath, [entry], {
    env: { ...process.env, PORT: String(port), WEBHOOK_SECRET: secret }
  })
  onTestFinished(() => void receiver.kill())
  const body = '{"type":"order.completed","timestamp":"2026-01-31T12:00:00.000Z","data":{}}'
  const send = (signedWith: string) => {
    const timestamp = Math.floor(Date.now() / 1000)
    const headers = signatureHeaders({ id: 'test-001:completed', timestamp, body }, [signedWith])
    return fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers, body })
  }
  const answer = await until('the receiver answers', () => send(secret).catch(() => undefined))
  expect(answer.status).toBe(204)
  expect((await send(newWebhookSecret())).status).toBe(401)
})
