import { holds, type Ratio, type Results, type Series } from '../results.ts'
import { aim, byPhase, figure, range, ratioFigure } from './figures.ts'

/** Renders the results as plain text in aligned columns: every series of every phase, then the ratios and their bounds. */
export function renderTable({ at, extent, seconds, machine, series, ratios }: Results): string {
  const { processor, cores, memory_gb, system, node, redis, mysql } = machine
  return [
    `${extent} run of ${at}, ${figure(seconds)} s`,
    `${processor}, ${cores} cores, ${memory_gb} GB, ${system}; Node.js ${node}, Redis ${redis}, MySQL ${mysql}`,
    ...[...byPhase(series)].flatMap(([phase, list]) => ['', ...renderPhase(phase, list)]),
    ...(ratios.length > 0 ? ['', ...renderRatios(ratios)] : [])
  ].join('\n')
}

function renderPhase(phase: string, series: Series[]): string[] {
  const details = [...new Set(series.flatMap(each => Object.keys(each.details)))]
  const units = [...new Set(series.map(({ unit }) => unit))].join(', ')
  return align([
    [`${phase} (${units})`, 'median', 'low–high', ...details.map(name => name.replaceAll('_', ' '))],
    ...series.map(each => [
      `  ${each.contestant}`,
      figure(each.median),
      range(each),
      ...details.map(name => (name in each.details ? figure(each.details[name]) : ''))
    ])
  ])
}

function renderRatios(ratios: Ratio[]): string[] {
  return align([
    ['ratios', 'median', 'low–high', 'aim', ''],
    ...ratios.map(each => [
      `  ${each.name}`,
      ratioFigure(each.median),
      range(each, ratioFigure),
      aim(each),
      verdict(each)
    ])
  ])
}

function verdict(ratio: Ratio): string {
  if (aim(ratio) === '') return ''
  return holds(ratio) ? 'reached' : 'MISSED'
}

/** Aligns rows of cells: the first column left, the figures right. */
function align(rows: string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  return rows.map(row =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
      )
      .join('  ')
      .trimEnd()
  )
}
