import type { Bench } from './bench.ts'
import { accept } from './phases/accept.ts'
import { backlog } from './phases/backlog.ts'
import { batch } from './phases/batch.ts'
import { drainBacklog } from './phases/drain.ts'
import { growth } from './phases/growth.ts'
import { memory } from './phases/memory.ts'
import { read } from './phases/read.ts'
import { sustained } from './phases/sustained.ts'
import { wait } from './phases/wait.ts'
import { workers } from './phases/workers.ts'

/** The phases in their order. A phase does nothing if the extent has no plan for it. */
export const phases = {
  accept,
  batch,
  read,
  drain: drainBacklog,
  workers,
  sustained,
  wait,
  memory,
  growth,
  backlog
} as const satisfies Record<string, (bench: Bench) => Promise<void>>

/** The name of a phase. */
export type PhaseName = keyof typeof phases

/** The names of all phases, in their order. */
export const phaseNames = Object.keys(phases) as PhaseName[]
