import { Big } from 'big.js'
import type { Item } from '../../schema/http/order.ts'

/** The optional fields of an order; null for those that it was sent without. */
export interface Details {
  currency: string | null
  customer_id: string | null
  region: string | null
  /** JSON text in one form, so that equal items have equal texts. */
  items: string | null
  /** JSON text in one form, as above: sorted by key. */
  metadata: string | null
}

/** The optional fields as a request, a message, a document or a row has them. */
export interface DetailsSource {
  currency?: string | null
  customer_id?: string | null
  region?: string | null
  items?: (Omit<Item, 'unit_price'> & { unit_price: number | string })[] | null
  metadata?: Record<string, string> | null
}

/** Returns the details of an order; null when it has none, as most orders. */
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

/** Renders details as members of a JSON object, each after a comma; '' for none. */
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

/** The exact sum of quantity × unit_price. */
export function sumOfItems(items: NonNullable<DetailsSource['items']>): Big {
  return items.reduce(
    (sum, { quantity, unit_price }) => sum.plus(new Big(unit_price).times(quantity)),
    new Big(0)
  )
}

function renderItems(items: NonNullable<DetailsSource['items']>): string {
  // A price has 14 digits at most, so a double keeps it, and its text is the shortest.
  return JSON.stringify(
    items.map(({ sku, name, quantity, unit_price }) => ({
      sku,
      name,
      quantity,
      unit_price: Number(unit_price)
    }))
  )
}

/**
 * Renders metadata with a space after each colon. A process of the release before searches documents for `"status":"…"`,
 * and must not find it here.
 */
function renderMetadata(metadata: Record<string, string>): string {
  const pairs = Object.keys(metadata)
    .sort()
    .map(key => `${JSON.stringify(key)}: ${JSON.stringify(metadata[key])}`)
  return `{${pairs.join(',')}}`
}
