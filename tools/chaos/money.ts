/**
 * The number of units in 1.0. The checker computes with whole units, so 12.5 is 125000. This file uses no code of the
 * service, so that it does not repeat an error of its arithmetic.
 */

const UNITS = 10_000n

/** The tax rate of the service in this test, in hundredths. */
const RATE = 18n

/** Returns the units of a decimal text or a number; undefined if it is not an amount with at most four decimals. */
export function toUnits(value: unknown): bigint | undefined {
  const [, sign, whole, fraction = ''] = /^(-?)(\d+)(?:\.(\d{1,4})0*)?$/.exec(String(value)) ?? []
  if (whole === undefined) return undefined
  const units = BigInt(whole) * UNITS + BigInt(fraction.padEnd(4, '0'))
  return sign ? -units : units
}

/** Returns units as decimal text without trailing zeros. */
export function toText(units: bigint): string {
  const [whole, fraction] = [
    units / UNITS,
    String(units % UNITS)
      .padStart(4, '0')
      .replace(/0+$/, '')
  ]
  return fraction === '' ? String(whole) : `${whole}.${fraction}`
}

/** Returns the tax on an amount, rounded half up to four decimals. */
export function taxOn(amount: bigint): bigint {
  return (amount * RATE + 50n) / 100n
}
