import { Big } from 'big.js'
import { MOST_DECIMALS } from '../../schema/http/currency.ts'

/**
 * Returns the shortest exact text of an amount: "100" for 100, 100.0 and "100.00". A number within the bounds of the
 * schema has no exponent, so `String` returns its shortest text.
 */
export function canonicalAmount(amount: number | string): string {
  return typeof amount === 'number' ? String(amount) : new Big(amount).toFixed()
}

/**
 * Prices an amount in exact decimals: tax = amount × rate, rounded half up to `places` decimals; total = amount + tax.
 * All values are decimal text. The results are in their shortest form.
 */
export function price(amount: string, rate: string, places = MOST_DECIMALS): { tax: string; total: string } {
  const net = new Big(amount)
  const tax = net.times(rate).round(places, Big.roundHalfUp)
  return { tax: tax.toFixed(), total: net.plus(tax).toFixed() }
}

/** Returns the exact sum of amounts. The amounts and the sum are decimal text. */
export function sum(amounts: Iterable<string>): string {
  let total = new Big(0)
  for (const amount of amounts) total = total.plus(amount)
  return total.toFixed()
}
