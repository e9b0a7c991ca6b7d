import type { Ratio, Series } from '../results.ts'

const threeDigits = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 })
const allThreeDigits = new Intl.NumberFormat('en', {
  minimumSignificantDigits: 3,
  maximumSignificantDigits: 3
})

/** Formats a figure: three significant digits, thousands separated; a dash for a missing one. */
export function figure(value: number | undefined): string {
  // NaN is null in a file of results.
  return Number.isFinite(value) ? threeDigits.format(value as number) : '–'
}

/** Formats a ratio: like `figure`, with trailing zeros. */
export function ratioFigure(value: number): string {
  return Number.isFinite(value) ? allThreeDigits.format(value) : '–'
}

/** Formats the range of the rounds; empty for one round. */
export function range(
  { rounds, low, high }: Series | Ratio,
  format: (value: number) => string = figure
): string {
  return rounds.length < 2 ? '' : `${format(low)}–${format(high)}`
}

/** Formats the bounds of a ratio, such as `≥ 0.6`; empty without bounds. */
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
