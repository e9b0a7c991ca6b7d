import * as currencies from 'dinero.js/currencies'
import { type Static, Type } from 'typebox'

/** The decimal places of each currency in use, by its code (ISO 4217). */
const EXPONENTS = new Map(
  Object.values(currencies).map(({ code, base, exponent }) => [
    code as string,
    // The fifths of the ariary and the ouguiya count as hundredths in ISO 4217.
    base === 10 ? exponent : 2
  ])
)

/** Code of a currency, after ISO 4217. */
export const Currency = Type.Enum([...EXPONENTS.keys()].sort(), {
  description: 'Currency of all amounts of the order (ISO 4217). Tax is rounded to its minor unit.',
  examples: ['EUR']
})
/** Code of a currency, after ISO 4217. */
export type Currency = Static<typeof Currency>

/** Decimal places of amounts without a currency, and most decimal places of any amount. */
export const MOST_DECIMALS = 4

/** The decimal places of a currency's minor unit; four for amounts without a currency. */
export function decimalsOf(currency: string | null): number {
  return currency === null ? MOST_DECIMALS : (EXPONENTS.get(currency) ?? MOST_DECIMALS)
}
