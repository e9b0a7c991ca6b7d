import type { Bench } from './bench.ts'
import { accept } from './phases/accept.ts'
import { drainBacklog } from './phases/drain.ts'
import { growth } from './phases/growth.ts'
import { memory } from './phases/memory.ts'
import { read } from './phases/read.ts'
import { sustained } from './phases/sustained.ts'
import { waiting } from './phases/waiting.ts'
import { workers } from './phases/workers.ts'

/** What is measured, in this order; one that the extent has no plan for does nothing. */
export const phases = {
  accept,
  read,
  drain: drainBacklog,
  workers,
  sustained,
  memory,
  growth,
  waiting
} as const satisfies Record<string, (bench: Bench) => Promise<void>>

export type PhaseName = keyof typeof phases

export const phaseNames = Object.keys(phases) as PhaseName[]
