import { toText } from './money.ts'
import { createRandom, hash } from './random.ts'

/** The only currency of the load. It has four decimals, so the tax is the same as without a currency. */
const CURRENCY = 'CLF'

/** Texts that look like parts of a document, or need escapes in JSON. */
const TEXTS = [
  'completed',
  '"status":"completed"',
  'tea “Oolong” 😀',
  'a\nb',
  '}',
  '\\',
  '{"status": "failed"}'
]

/**
 * Draws the optional fields of an order, as JSON members after a comma. Returns '' for three of four orders. The fields
 * depend only on the order and its amount, so a repetition has the same fields.
 */
export function drawFields(seed: number, number: number, amount: bigint): string {
  const random = createRandom(hash(`${seed}/${number}`), 'fields')
  if (!random.chance(0.25)) return ''
  const price = toText(amount)
  const members = [
    `"currency":"${CURRENCY}"`,
    `"customer_id":"customer-${random.whole(1, 50)}"`,
    `"items":[{"sku":${JSON.stringify(random.pick(TEXTS))},"name":"one","quantity":1,"unit_price":${price}},{"sku":"gift","quantity":${random.whole(1, 9)},"unit_price":0}]`,
    `"metadata":{"status":${JSON.stringify(random.pick(TEXTS))},"10":"ten","run":"chaos"}`
  ].filter(() => random.chance(0.7))
  return members.map(member => `,${member}`).join('')
}

/** Returns the optional fields of a body, a document or a row as text that can be compared; '' if there are none. */
export function fieldsOf(source: Record<string, unknown>): string {
  const { currency, customer_id, items, metadata } = source
  const parse = (value: unknown) => (typeof value === 'string' ? JSON.parse(value) : value)
  const pairs = Object.entries((parse(metadata) ?? {}) as Record<string, string>).sort(([a], [b]) =>
    a < b ? -1 : 1
  )
  const present = [currency, customer_id, items, metadata].some(
    value => value !== undefined && value !== null
  )
  return present
    ? JSON.stringify([currency ?? null, customer_id ?? null, parse(items) ?? null, metadata ? pairs : null])
    : ''
}
