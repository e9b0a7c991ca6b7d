import { createHmac, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { verifyWebhook, type WebhookHeaders } from '../../clients/typescript/src/index.ts'

const newSecret = () => `whsec_${randomBytes(32).toString('base64')}`
const secret = newSecret()
const NOW = Date.parse('2026-01-31T12:00:00Z')
const BODY = JSON.stringify({
  type: 'order.completed',
  timestamp: '2026-01-31T12:00:00.000Z',
  data: { order_id: 'test-001', customer_id: 'zoë' }
})

/** Signs as the service does. */
function sign(body: string, secrets = [secret], time = NOW / 1000, id = 'test-001:completed') {
  const signatures = secrets.map(each => {
    const key = Buffer.from(each.slice('whsec_'.length), 'base64')
    return `v1,${createHmac('sha256', key).update(`${id}.${time}.${body}`).digest('base64')}`
  })
  return {
    'webhook-id': id,
    'webhook-timestamp': String(time),
    'webhook-signature': signatures.join(' ')
  }
}

const verify = (
  headers: WebhookHeaders,
  body: string | Uint8Array = BODY,
  secrets: string | string[] = secret
) => verifyWebhook(secrets, headers, body, { now: NOW })

test('verifyWebhook returns the event of a signed body', async () => {
  const event = { ...JSON.parse(BODY), id: 'test-001:completed' }
  expect(await verify(sign(BODY))).toEqual(event)
  expect(await verify(new Headers(sign(BODY)))).toEqual(event)
  expect(await verify(sign(BODY), Buffer.from(BODY))).toEqual(event)
  const { 'webhook-id': id, ...rest } = sign(BODY)
  expect(await verify({ 'Webhook-Id': id, ...rest })).toEqual(event)
})

test('verifyWebhook accepts both secrets of a rotation, on both sides', async () => {
  const older = newSecret()
  expect(await verify(sign(BODY, [older, secret]))).toMatchObject({ type: 'order.completed' })
  expect(await verify(sign(BODY, [older]), BODY, [secret, older])).toMatchObject({ type: 'order.completed' })
  await expect(verify(sign(BODY, [older]))).rejects.toMatchObject({ code: 'webhook-signature' })
})

test('verifyWebhook accepts the example of the specification', async () => {
  const body = '{"test": 2432232314}'
  const headers = {
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
  }
  const options = { now: 1_614_265_330_000 }
  // The signature is right, and the body is not an event.
  await expect(
    verifyWebhook('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', headers, body, options)
  ).rejects.toMatchObject({ code: 'webhook-body' })
})

test('verifyWebhook refuses any other body, id, time and signature', async () => {
  const headers = sign(BODY)
  await fc.assert(
    fc.asyncProperty(
      fc.nat(Buffer.byteLength(BODY) - 1),
      fc.integer({ min: 1, max: 255 }),
      async (at, bits) => {
        const changed = Buffer.from(BODY)
        changed[at] = (changed[at] as number) ^ bits
        await expect(verify(headers, changed)).rejects.toMatchObject({ code: 'webhook-signature' })
      }
    )
  )
  for (const [name, value] of [
    ['webhook-id', 'another'],
    ['webhook-timestamp', String(NOW / 1000 + 1)],
    ['webhook-signature', headers['webhook-signature'].replace('v1,', 'v1a,')],
    ['webhook-signature', 'v1,'],
    ['webhook-signature', 'v1,%%% v2 ,']
  ] as const)
    await expect(verify({ ...headers, [name]: value })).rejects.toMatchObject({ code: 'webhook-signature' })
})

test('verifyWebhook refuses a webhook without its headers, or from another time', async () => {
  for (const name of ['webhook-id', 'webhook-timestamp', 'webhook-signature'])
    await expect(verify({ ...sign(BODY), [name]: undefined })).rejects.toMatchObject({
      code: 'webhook-headers'
    })
  await expect(verify({ ...sign(BODY), 'webhook-timestamp': 'now' })).rejects.toMatchObject({
    code: 'webhook-headers',
    name: 'WebhookError'
  })
  const at = (minutes: number) => verify(sign(BODY, [secret], NOW / 1000 + minutes * 60))
  await expect(at(-5.1)).rejects.toMatchObject({ code: 'webhook-too-old' })
  await expect(at(5.1)).rejects.toMatchObject({ code: 'webhook-too-new' })
  expect(await at(-5)).toMatchObject({ type: 'order.completed' })
  expect(await at(5)).toMatchObject({ type: 'order.completed' })
})

test('verifyWebhook demands a secret', async () => {
  for (const wrong of ['', 'whsec_', 'whsec_%', secret.slice('whsec_'.length)])
    await expect(verify(sign(BODY), BODY, wrong)).rejects.toThrow(TypeError)
  await expect(verify(sign(BODY), BODY, [])).rejects.toThrow()
})
