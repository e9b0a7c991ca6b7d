import type { FastifyBaseLogger } from 'fastify'
import type { ResolvedFunction } from '../function.ts'
import type { Delivery } from '../group/delivery.ts'
import type { GroupMember } from '../group/member.ts'
import type { Outages } from '../outage/outages.ts'
import type { Decoded } from './decode.ts'
import type { ReportUnknownVersion } from './unknown-versions.ts'

/** The objects that all batches of one consumer share. */
export interface ConsumerRuntime {
  definition: ResolvedFunction
  member: GroupMember
  decode: (delivery: Delivery) => Decoded
  outages: Outages
  reportUnknownVersion: ReportUnknownVersion
  /** Messages that are neither settled nor released yet. Their leases are renewed. */
  inFlight: Set<Delivery>
  /** Messages in flight that this process has handled and cannot settle. It never handles them again. */
  kept: Set<Delivery>
  /** Aborts when the worker stops and can wait no longer. Messages in flight are released then. */
  leaving: AbortSignal
  log: FastifyBaseLogger
  /** Returns the lease (ms), which may change. Another worker takes over a message that is idle for longer. */
  lease: () => number
}

/** The objects that the steps of one batch share. */
export interface BatchRuntime extends ConsumerRuntime {
  slot: Slot
}

/** The place of one batch among the batches that run at the same time. */
export interface Slot {
  /** Keeps the slot taken until a call that has run out of time ends. */
  hold: (call: Promise<unknown>) => void
  /** Returns whether a call that has run out of time still runs. */
  isHeld: () => boolean
}
