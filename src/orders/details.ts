import { Big } from 'big.js'
import { type Item, LARGEST_AMOUNT, toUnits } from '../../schema/http/order.ts'

/** The optional fields of an order. A field that the client did not send is null. */
export interface Details {
  currency: string | null
  customer_id: string | null
  region: string | null
  /** Items as JSON text. Equal items have equal texts. */
  items: string | null
  /** Metadata as JSON text, sorted by key. Equal metadata has equal texts. */
  metadata: string | null
}

/** The optional fields in the form that a request, a message, a document or a row uses. */
export interface DetailsSource {
  currency?: string | null
  customer_id?: string | null
  region?: string | null
  items?: (Omit<Item, 'unit_price'> & { unit_price: number | string })[] | null
  metadata?: Record<string, string> | null
}

/** Returns the optional fields of an order; null when the order has none. Most orders have none. */
export function toDetails({ currency, customer_id, region, items, metadata }: DetailsSource): Details | null {
  if (!currency && !customer_id && !region && !items && !metadata) return null
  return {
    currency: currency ?? null,
    customer_id: customer_id ?? null,
    region: region ?? null,
    items: items ? renderItems(items) : null,
    metadata: metadata ? renderMetadata(metadata) : null
  }
}

/** Renders details as members of a JSON object, with a comma before each. Renders null as ''. */
export function renderDetails(details: Details | null): string {
  if (details === null) return ''
  const { currency, customer_id, region, items, metadata } = details
  return (
    (currency === null ? '' : `,"currency":"${currency}"`) +
    (customer_id === null ? '' : `,"customer_id":${JSON.stringify(customer_id)}`) +
    (region === null ? '' : `,"region":"${region}"`) +
    (items === null ? '' : `,"items":${items}`) +
    (metadata === null ? '' : `,"metadata":${metadata}`)
  )
}

const MOST_UNITS = toUnits(LARGEST_AMOUNT)

/** Returns whether quantity × unit_price over all items add up to exactly `amount`. */
export function addUpTo(items: NonNullable<DetailsSource['items']>, amount: number | string): boolean {
  let units = 0
  for (const { quantity, unit_price } of items) units += quantity * toUnits(unit_price)
  // Units are exact only up to the largest amount.
  return units <= MOST_UNITS ? units === toUnits(amount) : sumOfItems(items).eq(amount)
}

/** Returns the exact sum of quantity × unit_price over all items. */
export function sumOfItems(items: NonNullable<DetailsSource['items']>): Big {
  return items.reduce(
    (sum, { quantity, unit_price }) => sum.plus(new Big(unit_price).times(quantity)),
    new Big(0)
  )
}

/** Renders items one by one, because `JSON.stringify` of the list would need a new object for each item. */
function renderItems(items: NonNullable<DetailsSource['items']>): string {
  // A price has at most 14 digits. JavaScript prints a number with so few digits unchanged, as the shortest text.
  const texts = items.map(({ sku, name, quantity, unit_price }) => {
    const named = name === undefined ? '' : `,"name":${JSON.stringify(name)}`
    return `{"sku":${JSON.stringify(sku)}${named},"quantity":${quantity},"unit_price":${Number(unit_price)}}`
  })
  return `[${texts.join(',')}]`
}

/**
 * Renders metadata with a space after each colon. A process of the previous release searches documents for
 * `"status":"…"`, and must not find this text in metadata.
 */
function renderMetadata(metadata: Record<string, string>): string {
  const pairs = Object.keys(metadata)
    .sort()
    .map(key => `${JSON.stringify(key)}: ${JSON.stringify(metadata[key])}`)
  return `{${pairs.join(',')}}`
}
