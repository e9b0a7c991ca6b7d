/**
 * Money for the checker, in whole ten-thousandths: 12.5 is 125000. It shares no code with the service, so that an
 * error in the service's arithmetic cannot hide here.
 */

const UNITS = 10_000n

/** The rate that the service is run with, in hundredths. */
const RATE = 18n

/** The units of a decimal text or a JSON number, or undefined when it is not an amount of at most four decimals. */
export function toUnits(value: unknown): bigint | undefined {
  const [, sign, whole, fraction = ''] = /^(-?)(\d+)(?:\.(\d{1,4})0*)?$/.exec(String(value)) ?? []
  if (whole === undefined) return undefined
  const units = BigInt(whole) * UNITS + BigInt(fraction.padEnd(4, '0'))
  return sign ? -units : units
}

/** Decimal text without trailing zeros. */
export function toText(units: bigint): string {
  const [whole, fraction] = [
    units / UNITS,
    String(units % UNITS)
      .padStart(4, '0')
      .replace(/0+$/, '')
  ]
  return fraction === '' ? String(whole) : `${whole}.${fraction}`
}

/** The tax on an amount, half up to four decimals. */
export function taxOn(amount: bigint): bigint {
  return (amount * RATE + 50n) / 100n
}
