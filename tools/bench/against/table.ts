import { medianOf } from '../results.ts'
import type { ComparedPhase, RoundRates } from './round.ts'
import { conclude, FEWEST, judge, type Verdict } from './verdict.ts'

/** The rates and the verdict of one phase after all rounds so far. */
export interface Comparison {
  phase: ComparedPhase
  bound: number
  /** The medians of the rates. */
  rates: Record<'this' | 'other', number>
  verdict: Verdict
}

/** Compares the rates of both sides in some rounds, phase by phase. */
export function comparePhases(
  rounds: readonly RoundRates[],
  bounds: Partial<Record<ComparedPhase, number>>
): Comparison[] {
  return Object.entries(bounds).map(([name, bound]) => {
    const phase = name as ComparedPhase
    const of = (side: 'this' | 'other') => rounds.map(round => round[side][phase] ?? Number.NaN)
    const [ours, theirs] = [of('this'), of('other')]
    const ratios = ours.map((rate, round) => rate / (theirs[round] as number))
    return {
      phase,
      bound,
      rates: { this: medianOf(ours), other: medianOf(theirs) },
      verdict: judge(ratios, bound)
    }
  })
}

/** Returns whether further rounds could still decide a phase. */
export function isOpen({ verdict }: Comparison): boolean {
  return verdict.outcome === 'open'
}

/** Describes the ratios of a phase so far in one line. */
export function describe({ phase, verdict: { median, low, high } }: Comparison): string {
  return `${phase} ${median.toFixed(3)} (${low.toFixed(3)}–${high.toFixed(3)})`
}

const columns = ['phase', 'rounds', 'this', 'other', 'this/other', '95 % interval', 'bound', 'verdict']

/** Renders a comparison as a table, with advice where a phase is undecided. */
export function renderComparison(comparisons: readonly Comparison[]): string {
  const rows = comparisons.map(comparison => {
    const { phase, bound, rates, verdict } = comparison
    const { pairs, median, low, high } = verdict
    const rate = (value: number) => `${Math.round(value).toLocaleString('en')}/s`
    const interval = `${low.toFixed(3)}–${high.toFixed(3)}`
    const numbers = [rate(rates.this), rate(rates.other), median.toFixed(3), interval, String(bound)]
    return [phase, String(pairs), ...numbers, conclude(verdict)]
  })
  const widths = columns.map((name, index) =>
    Math.max(...[columns, ...rows].map(row => row[index]?.length ?? name.length))
  )
  const lines = [columns, ...rows].map(row =>
    row
      .map((cell, index) => cell.padEnd(widths[index] as number))
      .join('  ')
      .trimEnd()
  )
  return [...lines, '', ...advice(comparisons)].join('\n')
}

function advice(comparisons: readonly Comparison[]): string[] {
  const named = (outcome: ReturnType<typeof conclude>) =>
    comparisons.filter(({ verdict }) => conclude(verdict) === outcome).map(({ phase }) => phase)
  const [slower, undecided] = [named('slower'), named('undecided')]
  const list = (names: string[]) => names.join(' and ')
  return [
    ...(slower.length > 0 ? [`This revision is slower in ${list(slower)}.`] : []),
    ...(undecided.length > 0
      ? [
          `Undecided in ${list(undecided)}, which is not a pass: try again on a quieter hour; it takes at least ${FEWEST} rounds.`
        ]
      : []),
    ...(slower.length + undecided.length === 0 ? ['No phase is slower.'] : [])
  ]
}

/** Returns whether no phase is slower or undecided. */
export function passes(comparisons: readonly Comparison[]): boolean {
  return comparisons.every(({ verdict }) => conclude(verdict) === 'not slower')
}
