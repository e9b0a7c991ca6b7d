import type { Ratio, Series } from '../results.ts'

const threeDigits = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 })
const allThreeDigits = new Intl.NumberFormat('en', {
  minimumSignificantDigits: 3,
  maximumSignificantDigits: 3
})

/** Formats a figure with three significant digits and separated thousands. A missing figure becomes a dash. */
export function figure(value: number | undefined): string {
  // A file of results has null instead of NaN.
  return Number.isFinite(value) ? threeDigits.format(value as number) : '–'
}

/** Formats a ratio like `figure`, but keeps trailing zeros. */
export function ratioFigure(value: number): string {
  return Number.isFinite(value) ? allThreeDigits.format(value) : '–'
}

/** Formats the range of the rounds. Returns an empty text for one round. */
export function range(
  { rounds, low, high }: Series | Ratio,
  format: (value: number) => string = figure
): string {
  return rounds.length < 2 ? '' : `${format(low)}–${format(high)}`
}

/** Formats the bounds of a ratio, such as `≥ 0.6`. Returns an empty text if it has no bounds. */
export function aim({ atLeast, atMost }: Ratio): string {
  const parts = [
    atLeast !== undefined && `≥ ${figure(atLeast)}`,
    atMost !== undefined && `≤ ${figure(atMost)}`
  ]
  return parts.filter(part => part !== false).join(', ')
}

/** Groups series by phase, in the order of measurement. */
export function byPhase(series: Series[]): Map<string, Series[]> {
  return Map.groupBy(series, ({ phase }) => phase)
}
