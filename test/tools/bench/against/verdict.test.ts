import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bootstrapInterval, conclude, FEWEST, judge } from '../../../../tools/bench/against/verdict.ts'
import { createRandom } from '../../../../tools/chaos/random.ts'

/** Ratios around a value, evenly on both sides, at most the spread away from it. */
function around(value: number, spread: number, count: number): number[] {
  return Array.from({ length: count }, (_, round) => value * (1 + spread * (((round * 7) % 11) / 5 - 1)))
}

/** Ratios of two revisions, one slower by `loss`, with the noise of a machine that other programs also use. */
function measured(seed: number, loss: number, count: number): number[] {
  const random = createRandom(seed, 'noise')
  const normal = () => Array.from({ length: 12 }, random.next).reduce((sum, next) => sum + next, -6)
  return Array.from({ length: count }, () => (1 - loss) * Math.exp(0.05 * normal()))
}

const ends = (ratios: number[], bound: number) => conclude(judge(ratios, bound))

describe('the verdict', () => {
  test('is "slower" only if the whole interval is below the bound', () => {
    expect(judge(around(0.9, 0.03, 12), 0.97).outcome).toBe('slower')
    expect(judge(around(0.95, 0.1, 12), 0.97).outcome).toBe('open')
    expect(judge(around(0.9, 0.03, 12), 0.85).outcome).toBe('not slower')
  })

  test('is "not slower" at once if the whole interval is at or above the bound, however wide the interval is', () => {
    const wide = judge(around(1.3, 0.2, 12), 0.97)
    expect((wide.high - wide.low) / (wide.high + wide.low)).toBeGreaterThan(0.05)
    expect(wide.outcome).toBe('not slower')
    expect(judge(Array(FEWEST).fill(0.97), 0.97).outcome).toBe('not slower')
  })

  test('is at the end "not slower" if an interval within ±5 % has the bound, and "undecided" if it is wider', () => {
    expect(ends(around(0.97, 0.04, 30), 0.97)).toBe('not slower')
    expect(ends(around(0.97, 0.3, 30), 0.97)).toBe('undecided')
  })

  test('needs eight pairs, even when the ratios are far from the bound', () => {
    for (const ratio of [0.5, 1.5]) {
      expect(ends(Array(FEWEST - 1).fill(ratio), 0.97)).toBe('undecided')
      expect(ends(Array(FEWEST).fill(ratio), 0.97)).toBe(ratio < 1 ? 'slower' : 'not slower')
    }
  })

  test('is very rarely "slower" for equal revisions, and always "slower" for a revision that is a tenth slower', () => {
    const seeds = Array.from({ length: 40 }, (_, seed) => seed)
    const slower = (loss: number) =>
      seeds.filter(seed => judge(measured(seed, loss, 30), 0.97).outcome === 'slower').length
    expect(slower(0)).toBe(0)
    expect(slower(0.1)).toBe(40)
  })
})

describe('the interval', () => {
  test('contains the true ratio in about 95 of 100 measurements', () => {
    const holding = Array.from({ length: 100 }, (_, seed) => bootstrapInterval(measured(seed, 0.02, 20)))
    const held = holding.filter(({ low, high }) => low <= 0.98 && 0.98 <= high).length
    expect(held).toBeGreaterThanOrEqual(88)
    expect(held).toBeLessThan(100)
  })

  const ratios = fc.array(fc.double({ min: 0.5, max: 2, noNaN: true }), { minLength: FEWEST, maxLength: 30 })

  test('is within the ratios, contains their median, is the same each time, and scales with the ratios', () => {
    fc.assert(
      fc.property(ratios, list => {
        const { median, low, high } = judge(list, 1)
        expect(bootstrapInterval(list)).toEqual({ low, high })
        expect(low).toBeGreaterThanOrEqual(Math.min(...list))
        expect(high).toBeLessThanOrEqual(Math.max(...list))
        expect(low).toBeLessThanOrEqual(median)
        expect(high).toBeGreaterThanOrEqual(median)
        expect(bootstrapInterval(list.map(ratio => ratio * 2))).toEqual({ low: low * 2, high: high * 2 })
      }),
      { numRuns: 20 }
    )
  })

  test('is at or above a bound that no ratio is below, and is below a bound that each ratio is below', () => {
    fc.assert(
      fc.property(ratios, list => {
        expect(judge(list, Math.min(...list)).outcome).toBe('not slower')
        expect(judge(list, Math.max(...list) + 0.01).outcome).toBe('slower')
      }),
      { numRuns: 20 }
    )
  })
})
