import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareIds, readPositions, writePositions } from '../../src/streams/fan-out/positions.ts'

const ids = fc
  .tuple(
    fc.maxSafeNat().map(ms => Math.floor(ms / 8)),
    fc.oneof(fc.constant(0), fc.nat(1_000_000))
  )
  .map(([ms, sequence]) => `${ms}-${sequence}`)

test('positions are read as they were written', () => {
  fc.assert(
    fc.property(fc.array(ids, { minLength: 1, maxLength: 256 }), positions => {
      expect(readPositions(writePositions(positions), positions.length)).toEqual(positions)
      expect(readPositions(writePositions(positions), positions.length + 1)).toBeUndefined()
    })
  )
})

test('any text is read or refused', () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 3 }), (text, partitions) => {
      const read = readPositions(text, partitions)
      expect(read === undefined || read.length === partitions).toBe(true)
    })
  )
})

test('ids are compared by time, then by sequence', () => {
  expect(['10-2', '9-11', '10-10', '10-0'].toSorted(compareIds)).toEqual(['9-11', '10-0', '10-2', '10-10'])
})
