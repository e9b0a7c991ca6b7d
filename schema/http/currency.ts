import * as currencies from 'dinero.js/currencies'
import { type Static, Type } from 'typebox'

/** The decimal places of each currency in use, by its code (ISO 4217). */
const EXPONENTS = new Map(
  Object.values(currencies).map(({ code, base, exponent }) => [
    code as string,
    // The ariary and the ouguiya have fifths. ISO 4217 lists them with two decimals.
    base === 10 ? exponent : 2
  ])
)

/** The code of a currency (ISO 4217). */
export const Currency = Type.Enum([...EXPONENTS.keys()].sort(), {
  description: 'Currency of all amounts of the order (ISO 4217). Tax is rounded to its minor unit.',
  examples: ['EUR']
})
/** The code of a currency (ISO 4217). */
export type Currency = Static<typeof Currency>

/** The most decimal places of an amount. An amount without a currency may use all of them. */
export const MOST_DECIMALS = 4

/** Returns the decimal places of the minor unit of a currency; four for amounts without a currency. */
export function decimalsOf(currency: string | null): number {
  return currency === null ? MOST_DECIMALS : (EXPONENTS.get(currency) ?? MOST_DECIMALS)
}
