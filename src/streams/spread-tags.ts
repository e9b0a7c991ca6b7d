import { SLOTS, slotOf } from '../stores/redis/cluster/slot.ts'
import { COMMON } from './common.ts'

/** The width of the part of all slots in which the slot of a partition must be. */
const WIDTH = SLOTS / 384

/**
 * Creates the hash tags of the partitions in a cluster. The slots of any number of partitions are spread evenly over all
 * slots. The tag of a partition does not depend on the number of partitions, so a partition that is added moves no other.
 * See docs/decisions/0016-spread-partitions-over-slots.md.
 */
export function createSpreadTags(prefix: string): (partition: number) => string {
  const tags = new Map([[COMMON, prefix]])
  return partition => {
    const known = tags.get(partition)
    if (known !== undefined) return known
    const tag = findTag(`${prefix}:${partition}`, placeOf(partition) * SLOTS)
    tags.set(partition, tag)
    return tag
  }
}

/**
 * Returns the place of a partition from 0 to 1. The first 3 partitions are thirds apart, the first 6 sixths, the first 12
 * twelfths, and so on: a van der Corput sequence whose first base is 3, because a cluster has at least 3 masters.
 */
function placeOf(partition: number): number {
  let place = (partition % 3) / 3
  let part = 1 / 3
  for (let rest = Math.floor(partition / 3); rest > 0; rest >>= 1) {
    part /= 2
    place += (rest & 1) * part
  }
  return place
}

/** Returns the first tag whose slot is close behind `first`. */
function findTag(start: string, first: number): string {
  for (let n = 0; ; n++) {
    const tag = `${start}.${n}`
    const slot = slotOf(tag)
    if (slot >= first + WIDTH / 4 && slot < first + WIDTH) return tag
  }
}
