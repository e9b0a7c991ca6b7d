import { createRandom, type Random } from './random.ts'

/** What can be done to the running system; `faults.ts` has a function for each. */
export const faultKinds = [
  'kill-api',
  'kill-worker',
  'kill-redis',
  'kill-mariadb',
  'pause-api',
  'pause-worker',
  'pause-redis',
  'pause-mariadb',
  'cut-redis',
  'cut-mariadb',
  'full-redis',
  'deny-redis',
  'read-only-mariadb',
  'purge-documents',
  'destroy-group'
] as const
export type FaultKind = (typeof faultKinds)[number]

/** The processes that are run, by name. */
export const memberNames = ['redis', 'mariadb', 'api-1', 'api-2', 'worker-1', 'worker-2'] as const
export type MemberName = (typeof memberNames)[number]

/**
 * What the service's user of Redis may lose, one at a time: to read new messages, to take over those of others, to run
 * scripts, and to read documents. A script that uses one of them has changed nothing before, so it fails as a whole.
 */
export const deniedCommands = ['xreadgroup', 'xautoclaim', 'evalsha', 'mget'] as const
export type DeniedCommand = (typeof deniedCommands)[number]

/** One fault, as planned. Times in milliseconds. */
export interface Fault {
  /** After the start of the load. */
  at: number
  kind: FaultKind
  target: MemberName
  /** How long the process stays dead before it is restarted, stays stopped, or the store refuses; 0 for a stroke. */
  lasts: number
  /** The command that `deny-redis` takes away. */
  command?: DeniedCommand
}

export interface PlanOptions {
  seed: number
  /** Length of the load, ms. */
  duration: number
  /** Only these kinds. */
  kinds: readonly FaultKind[]
}

/** About how long a killed process takes to be back, beyond the time that it is left dead. */
const RESTART = 1500

/** No fault begins so shortly after the start of the load; none is planned to be under way so shortly before its end. */
const LEAD_IN = 2000
const LEAD_OUT = 2000

/** How many faults begin while another is under way. */
const OVERLAPS = 0.15

/**
 * Draws the faults of a run. The kinds come as from a deck that is shuffled anew when it is used up, so that all of
 * them come about equally often. Mostly there is a gap after a fault; now and then the next one begins during it.
 */
export function planFaults({ seed, duration, kinds }: PlanOptions): Fault[] {
  if (kinds.length === 0) return []
  const random = createRandom(seed, 'faults')
  const faults: Fault[] = []
  let deck: FaultKind[] = []
  let at = LEAD_IN
  for (;;) {
    if (deck.length === 0) deck = random.shuffle(kinds)
    const kind = deck.pop() as FaultKind
    const fault: Fault = {
      at: Math.round(at),
      kind,
      target: drawTarget(kind, random),
      lasts: drawLength(kind, random),
      ...(kind === 'deny-redis' && { command: random.pick(deniedCommands) })
    }
    const busy = fault.lasts + (kind.startsWith('kill-') ? RESTART : 0)
    if (at + busy > duration - LEAD_OUT) return faults
    faults.push(fault)
    at += random.chance(OVERLAPS) ? busy * random.next() : busy + random.between(1500, 6000)
  }
}

function drawTarget(kind: FaultKind, random: Random): MemberName {
  if (kind.endsWith('-api')) return random.pick(['api-1', 'api-2'])
  if (kind.endsWith('-worker')) return random.pick(['worker-1', 'worker-2'])
  return kind.endsWith('-mariadb') ? 'mariadb' : 'redis'
}

function drawLength(kind: FaultKind, random: Random): number {
  if (kind.startsWith('kill-')) return Math.round(random.between(0, 3000))
  if (kind.startsWith('pause-')) return Math.round(random.between(1000, 8000))
  if (/^(full|deny|read-only)-/.test(kind)) return Math.round(random.between(2000, 6000))
  return 0
}

/** One line that says when, what, to which and for how long. */
export function describeFault({ at, kind, target, lasts, command }: Fault): string {
  const length = lasts > 0 ? ` for ${(lasts / 1000).toFixed(1)} s` : ''
  const what = command ? ` without ${command}` : ''
  return `${(at / 1000).toFixed(1).padStart(7)} s  ${kind.padEnd(17)} ${target}${what}${length}`
}
