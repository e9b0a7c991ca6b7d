import { epochAfter, lifeOf, type Seen } from './epoch.ts'

/** How far an epoch had come that Redis has left. */
export interface LeftEpoch extends Seen {
  partition: number
}

/** What a process remembers of each partition's counter of accepted orders. */
export interface SeenCounters {
  /** What was last seen of a partition's counter, and the name that its next epoch would have. */
  seen: (partition: number) => Readonly<Seen & { next: string }>
  /** Takes in what a reply said of a partition's counter. */
  saw: (partition: number, now: Seen) => void
  /** Epochs that Redis has left, oldest first, until they are noted. */
  left: LeftEpoch[]
}

export function createSeenCounters(partitions: number): SeenCounters {
  const begin = (now: Seen) => ({ ...now, next: epochAfter(now.epoch) })
  const counters = Array.from({ length: partitions }, () => begin({ epoch: '', count: 0 }))
  const left: LeftEpoch[] = []
  return {
    seen: partition => counters[partition] as (typeof counters)[number],
    saw: (partition, now) => {
      const last = counters[partition] as (typeof counters)[number]
      if (now.epoch === last.epoch) {
        if (now.count > last.count) last.count = now.count
        return
      }
      // A late reply.
      if (lifeOf(now.epoch) < lifeOf(last.epoch)) return
      if (last.epoch !== '') left.push({ partition, epoch: last.epoch, count: last.count })
      counters[partition] = begin(now)
    },
    left
  }
}
