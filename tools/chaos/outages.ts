import type { DoneFault } from './faults.ts'
import type { FaultKind } from './plan.ts'

/** A stretch of time, in ms since the start of the process. */
export interface Span {
  began: number
  ended: number
}

/** A time in which a store was away, or had lost documents. */
export type Outage = Span & { target: DoneFault['target'] }

/** How long after an outage it may still be felt, ms: until everybody has noticed that the store is back. */
const NOTICE = 3000

const storeFaults: readonly FaultKind[] = [
  'kill-redis',
  'kill-mariadb',
  'pause-redis',
  'pause-mariadb',
  'cut-redis',
  'cut-mariadb',
  'full-redis',
  'deny-redis',
  'read-only-mariadb',
  'purge-documents'
]

/** Whether two stretches have a moment in common. */
export function overlaps(one: Span, other: Span): boolean {
  return one.began < other.ended && one.ended > other.began
}

/** Whether an outage lasted during that time, or had ended so shortly before that it may still have been felt. */
export function isFelt({ began, ended }: Span, during: Span): boolean {
  return overlaps({ began, ended: ended + NOTICE }, during)
}

/**
 * The outages of stores as an api felt them: one that stood still when a store came back notices it when it goes on.
 * Without a name, as they were.
 */
export function outagesOf(faults: DoneFault[], stalls: Outage[]): (api?: string) => Outage[] {
  const outages = [...faults.filter(({ kind }) => storeFaults.includes(kind)), ...stalls]
  const felt = new Map<string, Outage[]>()
  for (const [api, pauses] of Map.groupBy(
    faults.filter(({ kind }) => kind === 'pause-api'),
    ({ target }) => target
  )) {
    const longer = outages.map(outage => {
      const ends = pauses.filter(pause => isFelt(outage, pause)).map(pause => pause.ended)
      return { ...outage, ended: Math.max(outage.ended, ...ends) }
    })
    felt.set(api, longer)
  }
  return api => felt.get(api ?? '') ?? outages
}
