import { Big } from 'big.js'

/** Decimal places of every stored amount. */
const PLACES = 4

/**
 * An amount as clients send it, in its shortest exact form: 100, 100.0 and "100.00" are all "100". A number within the
 * bounds of the schema is that already as text.
 */
export function canonicalAmount(amount: number | string): string {
  return typeof amount === 'number' ? String(amount) : new Big(amount).toFixed()
}

/**
 * Prices an amount in exact decimals: tax = amount × rate, rounded half up to four places, and total = amount + tax.
 * Amount and rate are decimal text; so are the results, in their shortest form.
 */
export function price(amount: string, rate: string): { tax: string; total: string } {
  const net = new Big(amount)
  const tax = net.times(rate).round(PLACES, Big.roundHalfUp)
  return { tax: tax.toFixed(), total: net.plus(tax).toFixed() }
}

/** Sum of amounts given as decimal text. */
export function sum(amounts: Iterable<string>): string {
  let total = new Big(0)
  for (const amount of amounts) total = total.plus(amount)
  return total.toFixed()
}
