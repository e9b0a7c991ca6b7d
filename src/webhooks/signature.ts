import { createHmac, randomBytes } from 'node:crypto'

/** The prefix of the text of a secret (Standard Webhooks 1.0). The rest is base64. */
const PREFIX = 'whsec_'

/** The bytes of a secret. Standard Webhooks demands 24 to 64. */
const SECRET_BYTES = 32

/** Makes a secret, in the text that libraries of Standard Webhooks take. */
export function newWebhookSecret(): string {
  return PREFIX + randomBytes(SECRET_BYTES).toString('base64')
}

/** A message to sign. `id` has no dot, and `timestamp` is in seconds. */
export interface SignedMessage {
  id: string
  timestamp: number
  body: string
}

/** Returns the headers of a message after Standard Webhooks 1.0, with one signature for each secret. */
export function signatureHeaders(message: SignedMessage, secrets: readonly string[]): Record<string, string> {
  const { id, timestamp, body } = message
  const signed = `${id}.${timestamp}.${body}`
  const signatures = secrets.map(secret => {
    const key = Buffer.from(secret.slice(PREFIX.length), 'base64')
    return `v1,${createHmac('sha256', key).update(signed).digest('base64')}`
  })
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': signatures.join(' ')
  }
}
