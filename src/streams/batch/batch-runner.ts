import type { FastifyBaseLogger } from 'fastify'
import type { Outages } from '../consume/outages.ts'
import type { ResolvedFunction } from '../function.ts'
import type { Decoded, Delivery } from '../group/delivery.ts'
import type { GroupMember } from '../group/member.ts'
import type { ForeignMessages } from './foreign.ts'

/** What it takes to run the batches of one consumer. */
export interface BatchRunner {
  definition: ResolvedFunction
  member: GroupMember
  decode: (delivery: Delivery) => Decoded
  outages: Outages
  /** Notes messages of a version that the function does not know. */
  foreign: ForeignMessages
  /** What was taken and is neither settled nor given back yet: the leases of these are renewed. */
  inHand: Set<Delivery>
  /** Aborted when the worker stops and can wait no longer for what is in hand: that is given back. */
  leaving: AbortSignal
  log: FastifyBaseLogger
  /** Milliseconds; it may change. */
  lease: () => number
}

/** What became of the messages of a batch; `left` ones stay with their lease and come again. */
export interface BatchCounts {
  done: number
  retried: number
  dead: number
  left: number
  /** Those that could not be read, and are dead letters. */
  corrupt: number
}
