import { Big } from 'big.js'
import { MOST_DECIMALS } from '../../schema/http/currency.ts'

/**
 * The shortest exact text of an amount: 100, 100.0 and "100.00" are all "100". A number within the bounds of the schema
 * has no exponent, so its own text is the shortest.
 */
export function canonicalAmount(amount: number | string): string {
  return typeof amount === 'number' ? String(amount) : new Big(amount).toFixed()
}

/**
 * Prices an amount in exact decimals: tax = amount × rate, rounded half up to `places` decimals; total = amount + tax.
 * All are decimal text; the results are in their shortest form.
 */
export function price(amount: string, rate: string, places = MOST_DECIMALS): { tax: string; total: string } {
  const net = new Big(amount)
  const tax = net.times(rate).round(places, Big.roundHalfUp)
  return { tax: tax.toFixed(), total: net.plus(tax).toFixed() }
}

/** The exact sum of amounts. All are decimal text. */
export function sum(amounts: Iterable<string>): string {
  let total = new Big(0)
  for (const amount of amounts) total = total.plus(amount)
  return total.toFixed()
}
