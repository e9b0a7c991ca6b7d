import type { Series } from '../results.ts'
import { byPhase, figure } from './figures.ts'
import { inOrder, isGrowth, isLimit, isOurs, sizeLabel, title } from './phases.ts'

/** One bar: a figure with its lowest and highest round, and the text beside it. */
export interface Bar {
  label: string
  value: number
  low: number
  high: number
  /** A second figure, such as `p99 12 ms`; empty if there is none. */
  note: string
  color: string
  /** True if the bar shows the service. */
  ours: boolean
}

/** Bars with the same scale. */
export interface Panel {
  title: string
  /** The caption that explains the figures. */
  note: string
  bars: Bar[]
}

/** One file with one or more panels. */
export interface Picture {
  file: string
  /** The content in words, for readers who cannot see the picture. */
  alt: string
  panels: Panel[]
}

/** The phases of each picture. */
const files: Record<string, string[]> = {
  'accept.svg': ['accept', 'batch'],
  'read.svg': ['read'],
  'drain.svg': ['drain', 'workers'],
  'sustained.svg': ['sustained', 'end-to-end', 'wait'],
  'growth.svg': ['growth-drain', 'growth-read', 'growth-metrics', 'growth-accept']
}

const OURS = '#1f6feb'
const OURS_TOO = '#6ea5f4'
const LIMIT = '#b3bcc8'
const OTHER = '#8c959f'
const peers: Record<string, string> = { express: '#c09a6b', bullmq: '#a685bd' }

/** Returns the pictures that have at least one series. */
export function pictures(series: Series[]): Picture[] {
  const phases = byPhase(series)
  return Object.entries(files).flatMap(([file, names]) => {
    const panels = names.flatMap(name => toPanel(name, phases.get(name) ?? []))
    return panels.length === 0 ? [] : [{ file, alt: panels.map(describe).join('; '), panels }]
  })
}

function toPanel(phase: string, series: Series[]): Panel[] {
  const shown = inOrder(series).filter(({ median }) => Number.isFinite(median))
  const [first] = shown
  if (!first) return []
  const bars = shown.map(each => ({
    label: isGrowth(phase) ? sizeLabel(each) : each.contestant,
    value: each.median,
    low: each.low,
    high: each.high,
    note: isGrowth(phase) ? share(each, first) : latency(each),
    ...look(each.contestant)
  }))
  return [{ title: title(first), note: explain(shown, isGrowth(phase)), bars }]
}

function look(contestant: string): Pick<Bar, 'color' | 'ours'> {
  const ours = isOurs(contestant)
  // Such as "bullmq, single POSTs".
  const [name = ''] = contestant.split(', ')
  if (ours) return { ours, color: /\((everysec|uncached)\)$/.test(name) ? OURS_TOO : OURS }
  return { ours, color: peers[name] ?? (isLimit(name) ? LIMIT : OTHER) }
}

function latency({ unit, details }: Series): string {
  const [name, value] = unit === 'ms' ? ['p50', details.p50_ms] : ['p99', details.p99_ms]
  return Number.isFinite(value) ? `${name} ${figure(value)} ms` : ''
}

function share(series: Series, first: Series): string {
  return series === first ? '' : `${((100 * series.median) / first.median).toFixed(0)} %`
}

function explain(series: Series[], growth: boolean): string {
  const rounds = [...new Set(series.map(each => each.rounds.length))].toSorted((a, b) => a - b)
  const most = rounds.at(-1) as number
  return [
    series.every(({ unit }) => unit === 'ms') ? 'Less is better' : 'More is better',
    most === 1 ? 'one round' : `median of ${rounds.join(' or ')} rounds, with the lowest and the highest`,
    ...(growth ? ['percentages of the first'] : [])
  ].join('; ')
}

function describe({ title, bars }: Panel): string {
  return `${title}: ${bars.map(({ label, value }) => `${label} ${figure(value)}`).join(', ')}`
}
