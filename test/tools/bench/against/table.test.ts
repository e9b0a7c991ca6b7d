import { expect, test } from 'vitest'
import { comparePhases, isOpen, passes, renderComparison } from '../../../../tools/bench/against/table.ts'

/** Rounds in which the rates of this revision are a multiple of those of the other revision, with some noise. */
const rounds = (count: number, ratios: Record<string, number>, noise = 0.01) =>
  Array.from({ length: count }, (_, round) => {
    const factor = 1 + noise * (((round * 7) % 11) / 5 - 1)
    const rates = (of: (ratio: number) => number) =>
      Object.fromEntries(Object.entries(ratios).map(([phase, ratio]) => [phase, of(ratio)]))
    return { this: rates(ratio => 1000 * ratio * factor), other: rates(() => 1000) }
  })

test('each phase divides the rate of this revision by the other rate in each round, and has its own bound', () => {
  const found = comparePhases(rounds(10, { accept: 0.9, drain: 0.9 }), { accept: 0.97, drain: 0.85 })
  expect(found).toMatchObject([
    { phase: 'accept', bound: 0.97, rates: { other: 1000 }, verdict: { pairs: 10, outcome: 'slower' } },
    { phase: 'drain', bound: 0.85, verdict: { pairs: 10, outcome: 'not slower' } }
  ])
  expect(found.some(isOpen)).toBe(false)
  expect(passes(found)).toBe(false)
  expect(renderComparison(found)).toContain('This revision is slower in accept.')
  expect(renderComparison(found)).toMatch(/^drain +10 .*0\.85 +not slower$/m)
})

test('an undecided phase does not pass, and the table proposes another run', () => {
  const found = comparePhases(rounds(30, { read: 0.97, accept: 1.1 }, 0.3), { read: 0.97, accept: 0.5 })
  expect(found.filter(isOpen)).toMatchObject([{ phase: 'read' }])
  expect(passes(found)).toBe(false)
  expect(renderComparison(found)).toMatch(
    /Undecided in read, which is not a pass: try again on a quieter hour/
  )
})

test('a comparison passes when no phase is slower', () => {
  const found = comparePhases(rounds(8, { accept: 1, read: 0.98 }), { accept: 0.97, read: 0.97 })
  expect(passes(found)).toBe(true)
  expect(renderComparison(found)).toContain('No phase is slower.')
})
