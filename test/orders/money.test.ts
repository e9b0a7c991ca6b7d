import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decimalsOf } from '../../schema/http/currency.ts'
import { canonicalAmount, price, sum } from '../../src/orders/money.ts'

/** The rule for tax in whole numbers, with amounts in ten-thousandths and rates in millionths. */
const amounts = fc.bigInt({ min: 1n, max: 99_999_999_999_999n })
const rates = fc.bigInt({ min: 0n, max: 1_000_000n })

const asText = (units: bigint, places: number) => {
  const digits = units.toString().padStart(places + 1, '0')
  return `${digits.slice(0, -places)}.${digits.slice(-places)}`
}
const units = (text: string) => {
  const [whole, fraction = ''] = text.split('.')
  return BigInt(whole + fraction.padEnd(4, '0'))
}

test('I3: tax is amount × rate, half up to four places, and amount + tax = total', () => {
  fc.assert(
    fc.property(amounts, rates, (amount, rate) => {
      const { tax, total } = price(asText(amount, 4), asText(rate, 6))
      expect(units(tax)).toBe((amount * rate + 500_000n) / 1_000_000n)
      expect(units(total)).toBe(amount + units(tax))
    }),
    { numRuns: 5000 }
  )
})

test('I3: tax is rounded half up to the decimals of a currency, and amount + tax = total', () => {
  fc.assert(
    fc.property(amounts, rates, fc.integer({ min: 0, max: 4 }), (amount, rate, places) => {
      const { tax, total } = price(asText(amount, 4), asText(rate, 6), places)
      const unit = 10n ** BigInt(4 - places)
      const divisor = unit * 1_000_000n
      expect(units(tax)).toBe(((amount * rate + divisor / 2n) / divisor) * unit)
      expect(units(total)).toBe(amount + units(tax))
    }),
    { numRuns: 5000 }
  )
})

test.each([
  ['100', '0.18', '18', '118'],
  ['0.0001', '0.18', '0', '0.0001'],
  ['0.0025', '0.1', '0.0003', '0.0028'],
  ['0.3', '0.18', '0.054', '0.354'],
  ['9999999999.9999', '1', '9999999999.9999', '19999999999.9998']
])('the tax of %s at a rate of %s is %s', (amount, rate, tax, total) => {
  expect(price(amount, rate)).toEqual({ tax, total })
})

test.each([
  ['100', '0.185', 'JPY', '19'],
  ['10.05', '0.1', 'EUR', '1.01'],
  ['10.005', '0.1', 'BHD', '1.001'],
  ['10.0005', '0.1', 'CLF', '1.0001'],
  ['10.0005', '0.1', null, '1.0001']
])('the tax of %s at a rate of %s in %s is %s', (amount, rate, currency, tax) => {
  expect(price(amount, rate, decimalsOf(currency)).tax).toBe(tax)
})

test('an amount has one shortest form, however it is written', () => {
  fc.assert(
    fc.property(amounts, amount => {
      const text = asText(amount, 4)
      const shortest = canonicalAmount(text)
      expect(canonicalAmount(Number(text))).toBe(shortest)
      expect(String(Number(text))).toBe(shortest)
      expect(units(shortest)).toBe(amount)
    })
  )
})

test('a sum is exact', () => {
  fc.assert(
    fc.property(fc.array(amounts), list => {
      expect(units(sum(list.map(amount => asText(amount, 4))))).toBe(list.reduce((a, b) => a + b, 0n))
    })
  )
})
