import { generationOf, nextEpoch, type Watermark } from './epoch.ts'

/** The last watermark of an epoch that a newer epoch has replaced in Redis. */
export interface SupersededEpoch extends Watermark {
  partition: number
}

/** The watermarks that a process has observed, one for each partition's counter of accepted orders. */
export interface Watermarks {
  /** Returns the newest watermark of a partition. `next` is the name for the next epoch. */
  current: (partition: number) => Readonly<Watermark & { next: string }>
  /** Raises a partition's watermark to the counter in a reply of Redis. Ignores a reply that is older. */
  observe: (partition: number, counter: Watermark) => void
  /** Superseded epochs that are not recorded in MySQL yet, oldest first. */
  superseded: SupersededEpoch[]
}

/** Creates the watermarks of a process that has observed no counter yet. */
export function createWatermarks(partitions: number): Watermarks {
  const begin = (counter: Watermark) => ({ ...counter, next: nextEpoch(counter.epoch) })
  const newest = Array.from({ length: partitions }, () => begin({ epoch: '', count: 0 }))
  const superseded: SupersededEpoch[] = []
  return {
    current: partition => newest[partition] as (typeof newest)[number],
    observe: (partition, counter) => {
      const last = newest[partition] as (typeof newest)[number]
      if (counter.epoch === last.epoch) {
        if (counter.count > last.count) last.count = counter.count
        return
      }
      // The reply is late: Redis sent it before the new epoch began.
      if (generationOf(counter.epoch) < generationOf(last.epoch)) return
      if (last.epoch !== '') superseded.push({ partition, epoch: last.epoch, count: last.count })
      newest[partition] = begin(counter)
    },
    superseded
  }
}
