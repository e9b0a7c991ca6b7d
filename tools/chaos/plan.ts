import { createRandom, type Random } from './random.ts'

/** The kinds of faults. `faults.ts` has a function for each kind. */
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
/** A kind of fault. */
export type FaultKind = (typeof faultKinds)[number]

/** The processes of the system, by name. */
export const memberNames = ['redis', 'mariadb', 'api-1', 'api-2', 'worker-1', 'worker-2'] as const
/** The name of one process. */
export type MemberName = (typeof memberNames)[number]

/**
 * The commands that a fault may forbid to the service, one at a time. They read new messages, claim messages of other
 * workers, run scripts and read documents. A script uses them before its first write, so it fails without effect.
 */
export const deniedCommands = ['xreadgroup', 'xautoclaim', 'evalsha', 'mget'] as const
/** A command that a fault forbids. */
export type DeniedCommand = (typeof deniedCommands)[number]

/** One planned fault. Times in milliseconds. */
export interface Fault {
  /** The time after the start of the load. */
  at: number
  kind: FaultKind
  target: MemberName
  /**
   * The time for which the process is killed or paused, or the store refuses commands; 0 if the fault has no duration.
   */
  lasts: number
  /** The command that `deny-redis` forbids. */
  command?: DeniedCommand
}

/** The parameters of a plan. */
export interface PlanOptions {
  seed: number
  /** The length of the load (ms). */
  duration: number
  /** The kinds of faults to draw. */
  kinds: readonly FaultKind[]
}

/** The approximate time that the start of a killed process takes (ms). */
const RESTART = 1500

/** The times without a fault at the start and at the end of the load (ms). */
const LEAD_IN = 2000
const LEAD_OUT = 2000

/** The share of faults that begin during another fault. */
const OVERLAPS = 0.15

/**
 * Draws the faults of a run. It draws all kinds in a random order before it repeats a kind, so that all kinds occur
 * about equally often. Usually there is a gap after a fault. Sometimes the next fault begins before it is over.
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

/** Describes a fault in one line: time, kind, target and length. */
export function describeFault({ at, kind, target, lasts, command }: Fault): string {
  const length = lasts > 0 ? ` for ${(lasts / 1000).toFixed(1)} s` : ''
  const what = command ? ` without ${command}` : ''
  return `${(at / 1000).toFixed(1).padStart(7)} s  ${kind.padEnd(17)} ${target}${what}${length}`
}
