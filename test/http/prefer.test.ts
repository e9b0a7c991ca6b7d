import { expect, test } from 'vitest'
import { readPreferences } from '../../src/http/prefer.ts'

test.each([
  [undefined, undefined, false],
  ['wait=5', 5, false],
  ['return=representation, wait=10', 10, true],
  ['Wait = "7"; kind=x, return="representation"', 7, true],
  ['respond-async, wait=3, wait=9', 3, false],
  ['wait=-1', undefined, false],
  ['wait=soon, return=minimal', undefined, false],
  ['wait', undefined, false],
  [', ,=', undefined, false]
])('reads Prefer: %s', (header, wait, representation) => {
  expect(readPreferences(header)).toEqual({ wait, representation })
})
