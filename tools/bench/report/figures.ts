import type { Ratio, Series } from '../results.ts'

const threeDigits = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 })
const allThreeDigits = new Intl.NumberFormat('en', {
  minimumSignificantDigits: 3,
  maximumSignificantDigits: 3
})

/** A figure for people: three significant digits, thousands separated; a dash where nothing was measured. */
export function figure(value: number | undefined): string {
  // A figure that is not a number has become null in a file of results.
  return Number.isFinite(value) ? threeDigits.format(value as number) : '–'
}

/** A ratio for people: as `figure`, with the zeros that its digits end with. */
export function ratioFigure(value: number): string {
  return Number.isFinite(value) ? allThreeDigits.format(value) : '–'
}

/** From the lowest round to the highest; empty where there was one round. */
export function range(
  { rounds, low, high }: Series | Ratio,
  format: (value: number) => string = figure
): string {
  return rounds.length < 2 ? '' : `${format(low)}–${format(high)}`
}

/** What a ratio should reach, such as `≥ 0.6`; empty where there is no aim. */
export function aim({ atLeast, atMost }: Ratio): string {
  const parts = [
    atLeast !== undefined && `≥ ${figure(atLeast)}`,
    atMost !== undefined && `≤ ${figure(atMost)}`
  ]
  return parts.filter(part => part !== false).join(', ')
}

/** The series of each phase, phases in the order in which they were measured. */
export function byPhase(series: Series[]): Map<string, Series[]> {
  return Map.groupBy(series, ({ phase }) => phase)
}
