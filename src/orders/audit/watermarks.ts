import { generationOf, nextEpoch, type Watermark } from './epoch.ts'

/** The last watermark of an epoch that Redis no longer counts in. */
export interface SupersededEpoch extends Watermark {
  partition: number
}

/** The watermarks that a process has observed, one for each partition's counter of accepted orders. */
export interface Watermarks {
  /** The newest watermark of a partition, and the name that its next epoch would get. */
  current: (partition: number) => Readonly<Watermark & { next: string }>
  /** Raises a partition's watermark to what a reply of Redis shows. Ignores replies that are older. */
  observe: (partition: number, counter: Watermark) => void
  /** Epochs that Redis has left, oldest first, until they are recorded in MySQL. */
  superseded: SupersededEpoch[]
}

/** Creates watermarks that have observed nothing yet. */
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
      // A late reply.
      if (generationOf(counter.epoch) < generationOf(last.epoch)) return
      if (last.epoch !== '') superseded.push({ partition, epoch: last.epoch, count: last.count })
      newest[partition] = begin(counter)
    },
    superseded
  }
}
