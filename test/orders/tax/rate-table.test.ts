import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  beginOf,
  NOTICE,
  type RateChange,
  type RateTable,
  rateAt,
  TaxRateRefused,
  toTable
} from '../../../src/orders/tax/rate-table.ts'

const START = Date.parse('2026-01-31T12:00:00.000Z')
const at = (ms: number) => new Date(START + ms).toISOString()

/** Sets rates one after the other, as operators do, and skips refused rates. Returns the changes and their times. */
function setAll(wanted: { pause: number; region: string; ahead: number | undefined }[]) {
  const changes: RateChange[] = []
  const moments: number[] = []
  let now = 0
  for (const { pause, region, ahead } of wanted) {
    now += pause
    try {
      const from = ahead === undefined ? undefined : at(now + ahead)
      const valid_from = beginOf(toTable(changes), region, from, at(now))
      const version = changes.length + 1
      changes.push({ version, region, rate: `0.${100 + version}`, valid_from, created_at: at(now) })
      moments.push(now)
    } catch (error) {
      if (!(error instanceof TaxRateRefused)) throw error
    }
  }
  return { changes, moments }
}

const regions = ['DE', 'DE-BY', 'D']
const histories = fc
  .array(
    fc.record({
      pause: fc.integer({ min: 0, max: 2 * NOTICE }),
      region: fc.constantFrom(...regions),
      ahead: fc.option(fc.integer({ min: -3 * NOTICE, max: 5 * NOTICE }), { nil: undefined })
    }),
    { maxLength: 12 }
  )
  .map(setAll)

describe('the table of rates', () => {
  test('never contradicts a newer table: for any time, an outdated table has the same rate or no rate', () => {
    fc.assert(
      fc.property(histories, fc.integer({ min: 0, max: NOTICE - 1 }), ({ changes, moments }, passed) => {
        for (const [index, moment] of moments.entries()) {
          const [before, after] = [toTable(changes.slice(0, index)), toTable(changes.slice(0, index + 1))]
          for (const region of regions) {
            const time = at(moment + passed)
            const outdated = rateAt(before, region, time)
            if (outdated !== undefined) expect(rateAt(after, region, time)).toBe(outdated)
          }
        }
      }),
      { numRuns: 2000 }
    )
  })

  test('never changes a rate that was in force', () => {
    fc.assert(
      fc.property(histories, fc.integer({ min: 1, max: 5 * NOTICE }), ({ changes, moments }, ago) => {
        for (const [index, moment] of moments.entries()) {
          const [before, after] = [toTable(changes.slice(0, index)), toTable(changes.slice(0, index + 1))]
          for (const region of regions) {
            const known = rateAt(before, region, at(moment - ago))
            if (known !== undefined) expect(rateAt(after, region, at(moment - ago))).toBe(known)
          }
        }
      })
    )
  })

  test('has periods without gaps, and returns the rate of the period that contains the time', () => {
    fc.assert(
      fc.property(histories, fc.integer({ min: -3 * NOTICE, max: 30 * NOTICE }), ({ changes }, ms) => {
        const { rates } = toTable(changes)
        for (const region of regions) {
          const own = rates.filter(each => each.region === region)
          expect(own.map(({ valid_to }) => valid_to)).toEqual([
            ...own.slice(1).map(({ valid_from }) => valid_from),
            ...own.slice(-1).map(() => null)
          ])
          const [period] = own.filter(
            each => each.valid_from <= at(ms) && (each.valid_to === null || at(ms) < each.valid_to)
          )
          expect(rateAt(toTable(changes), region, at(ms))).toBe(period?.rate)
        }
      })
    )
  })
})

describe('a new rate', () => {
  const change = (version: number, valid_from: string): RateChange => ({
    version,
    region: 'DE',
    rate: '0.19',
    valid_from,
    created_at: at(0)
  })
  const none = toTable([])
  const inForce = toTable([change(1, at(-1))])
  const future = toTable([change(1, at(NOTICE / 2))])

  test.each<[string, RateTable, number | undefined, number]>([
    ['begins at once if it is the first one', none, undefined, 0],
    ['may begin in the past if it is the first one', none, -NOTICE, -NOTICE],
    ['begins after the notice if it is a later one', inForce, undefined, NOTICE],
    ['may begin at any time after the notice if it is a later one', inForce, NOTICE + 1, NOTICE + 1],
    ['begins at once if the first one is in the future', future, undefined, 0],
    [
      'may begin at any time before the first one if that is in the future',
      future,
      NOTICE / 2 - 1,
      NOTICE / 2 - 1
    ]
  ])('%s', (_title, table, from, begin) => {
    expect(beginOf(table, 'DE', from === undefined ? undefined : at(from), at(0))).toBe(at(begin))
  })

  test.each<[string, RateTable, number]>([
    ['within the notice', inForce, NOTICE - 1],
    ['in the past', inForce, -NOTICE],
    ['within the notice, after a rate that has not begun', future, NOTICE - 1],
    ['at the same time as a rate that begins within the notice', future, NOTICE / 2]
  ])('is refused if it begins %s', (_title, table, from) => {
    expect(() => beginOf(table, 'DE', at(from), at(0))).toThrow(
      new TaxRateRefused('DE', '2026-01-31T12:01:00.000Z')
    )
  })
})
