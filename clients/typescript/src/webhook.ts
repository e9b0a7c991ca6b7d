import { WebhookError } from './errors.ts'
import type { EventType, Order } from './types.ts'

/** The body of a webhook, with the id of its event. */
export type WebhookEvent = {
  /** The same for each delivery of the event, so use it to drop repetitions. */
  id: string
  /** The time of the event (ISO 8601). */
  timestamp: string
} & ({ type: EventType; data: Order } | { type: 'webhook.test'; data: Record<string, never> })

/** The headers of a request: of `fetch`, or of `node:http`. */
export type WebhookHeaders = Headers | Record<string, string | string[] | undefined>

/** Options of `verifyWebhook`. */
export interface WebhookOptions {
  /** The largest difference between the clocks of the sender and of this process (ms). Five minutes by default. */
  tolerance?: number | undefined
  /** The time now, in milliseconds since 1970. */
  now?: number | undefined
}

const TOLERANCE = 5 * 60_000
const PREFIX = 'whsec_'

/**
 * Verifies a webhook after Standard Webhooks 1.0, in constant time, and returns its event. `secrets` is the secret of the
 * endpoint, or several during a rotation. `body` is the body as it was received, before any parsing.
 * @throws {WebhookError} when the webhook is not from the service, or not for now
 * @throws {TypeError} when a secret is not one
 */
export async function verifyWebhook(
  secrets: string | readonly string[],
  headers: WebhookHeaders,
  body: string | Uint8Array | ArrayBuffer,
  options: WebhookOptions = {}
): Promise<WebhookEvent> {
  const { tolerance = TOLERANCE, now = Date.now() } = options
  const keys = (typeof secrets === 'string' ? [secrets] : secrets).map(bytesOfSecret)
  const id = headerOf(headers, 'webhook-id')
  const timestamp = headerOf(headers, 'webhook-timestamp')
  const signatures = headerOf(headers, 'webhook-signature')
  checkTime(timestamp, tolerance, now)
  const content = typeof body === 'string' ? new TextEncoder().encode(body) : new Uint8Array(body)
  const signed = join(new TextEncoder().encode(`${id}.${timestamp}.`), content)
  if (!(await isSigned(keys, signatures, signed)))
    throw new WebhookError('webhook-signature', 'No signature of the webhook matches a secret.')
  return parse(content, id)
}

function headerOf(headers: WebhookHeaders, name: string): string {
  const found =
    headers instanceof Headers
      ? headers.get(name)
      : Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1]
  if (typeof found !== 'string' || found === '')
    throw new WebhookError('webhook-headers', `The header ${name} is missing.`)
  return found
}

function checkTime(timestamp: string, tolerance: number, now: number): void {
  if (!/^\d{1,12}$/.test(timestamp))
    throw new WebhookError('webhook-headers', 'The header webhook-timestamp is not a number of seconds.')
  const age = now - Number(timestamp) * 1000
  if (age > tolerance) throw new WebhookError('webhook-too-old', 'The webhook is too old.')
  if (age < -tolerance) throw new WebhookError('webhook-too-new', 'The webhook is from the future.')
}

/** Whether one of the signatures is of one of the keys. `verify` of WebCrypto compares in constant time. */
async function isSigned(keys: Bytes[], signatures: string, signed: Bytes): Promise<boolean> {
  const candidates = signatures.split(' ').flatMap(signature => {
    const [version, text = ''] = signature.split(',')
    const bytes = version === 'v1' ? bytesOfBase64(text) : undefined
    return bytes ? [bytes] : []
  })
  for (const bytes of keys) {
    const algorithm = { name: 'HMAC', hash: 'SHA-256' }
    const key = await crypto.subtle.importKey('raw', bytes, algorithm, false, ['verify'])
    for (const candidate of candidates)
      if (await crypto.subtle.verify('HMAC', key, candidate, signed)) return true
  }
  return false
}

function bytesOfSecret(secret: string): Bytes {
  const bytes = secret.startsWith(PREFIX) ? bytesOfBase64(secret.slice(PREFIX.length)) : undefined
  if (!bytes || bytes.length === 0) throw new TypeError('A webhook secret is whsec_ and base64.')
  return bytes
}

/** `BufferSource` of TypeScript 5.9 and later demands the type of the buffer, which older versions do not have. */
type Bytes = ReturnType<typeof Uint8Array.from>

function bytesOfBase64(text: string): Bytes | undefined {
  try {
    return Uint8Array.from(atob(text), character => character.charCodeAt(0))
  } catch {
    return undefined
  }
}

function join(one: Uint8Array, other: Uint8Array): Bytes {
  const joined = new Uint8Array(one.length + other.length)
  joined.set(one)
  joined.set(other, one.length)
  return joined
}

function parse(content: Uint8Array, id: string): WebhookEvent {
  try {
    const value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content))
    if (typeof value?.type === 'string' && typeof value.timestamp === 'string') return { ...value, id }
  } catch (cause) {
    throw new WebhookError('webhook-body', 'The body of the webhook is not JSON.', cause)
  }
  throw new WebhookError('webhook-body', 'The body of the webhook is not an event.')
}
