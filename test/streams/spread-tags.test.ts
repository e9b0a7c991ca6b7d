import { expect, test } from 'vitest'
import { SLOTS, slotOf } from '../../src/stores/redis/cluster/slot.ts'
import { COMMON } from '../../src/streams/common.ts'
import { createKeys } from '../../src/streams/keys.ts'

/** Returns how many of the first partitions each master has, when the masters have equal parts of the slots. */
function spread(partitions: number, masters: number): number[] {
  const keys = createKeys('spread', partitions, true)
  const counts = new Array<number>(masters).fill(0)
  for (let partition = 0; partition < partitions; partition++) {
    const master = Math.floor((slotOf(keys.accepted(partition)) * masters) / SLOTS)
    counts[master] = (counts[master] ?? 0) + 1
  }
  return counts
}

test.each([
  [3, 3],
  [6, 3],
  [9, 3],
  [12, 3],
  [192, 3],
  [6, 6],
  [12, 2],
  [12, 4],
  [12, 6],
  [24, 8]
])('%i partitions of a cluster are spread evenly over %i masters', (partitions, masters) => {
  expect(spread(partitions, masters)).toEqual(new Array(masters).fill(partitions / masters))
})

test('no master has more than its share and two of any number of partitions on three masters', () => {
  for (const partitions of [1, 2, 4, 5, 7, 10, 50, 100, 255, 256])
    expect(Math.max(...spread(partitions, 3))).toBeLessThanOrEqual(Math.ceil(partitions / 3))
})

test('the keys of a partition do not depend on the number of partitions, and differ from those of a single Redis', () => {
  const [few, many] = [createKeys('a', 3, true), createKeys('a', 24, true)]
  for (const partition of [COMMON, 0, 1, 2]) expect(few.accepted(partition)).toBe(many.accepted(partition))
  expect(few.partitionCount()).toBe('{a}:partitions')
  expect(createKeys('a', 3).accepted(1)).toBe('{a:1}:accepted')
  expect(createKeys('a', 3).partitionCount()).toBe('{a:0}:partitions')
})
