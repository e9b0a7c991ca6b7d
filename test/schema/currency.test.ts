import { describe, expect, test } from 'vitest'
import { Currency, decimalsOf } from '../../schema/http/currency.ts'

/** The currencies of ISO 4217 (List One) whose minor unit is not a hundredth. */
const NOT_TWO: Record<number, string> = {
  0: 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF',
  3: 'BHD IQD JOD KWD LYD OMR TND',
  4: 'CLF UYW'
}

describe('the currencies', () => {
  test('have the decimals of ISO 4217', () => {
    const decimals = new Map(Currency.enum.map(code => [code, 2]))
    for (const [places, codes] of Object.entries(NOT_TWO))
      for (const code of codes.split(' ')) decimals.set(code, Number(places))
    expect(Object.fromEntries(Currency.enum.map(code => [code, decimalsOf(code)]))).toEqual(
      Object.fromEntries(decimals)
    )
  })

  test('include the currencies in use', () => {
    expect(Currency.enum.length).toBeGreaterThan(150)
    expect(Currency.enum).toEqual(expect.arrayContaining(['EUR', 'USD', 'MRU', 'SLE', 'STN', 'VED', 'VES']))
    expect(Currency.enum.filter(code => !/^[A-Z]{3}$/.test(code))).toEqual([])
  })

  test('allow four decimals in an amount without a currency', () => {
    expect(decimalsOf(null)).toBe(4)
  })
})
