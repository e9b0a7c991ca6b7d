import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readIdempotencyKey } from '../../src/http/idempotency/read-key.ts'
import { InvalidIdempotencyKey } from '../../src/idempotency/errors.ts'

const printable = fc.string({
  unit: fc.integer({ min: 0x20, max: 0x7e }).map(code => String.fromCharCode(code))
})

/** Writes a text as a string of a structured field (RFC 8941, section 4.1.6). */
const quoted = (text: string) => `"${text.replaceAll(/["\\]/g, '\\$&')}"`

test('reads every text of 1 to 255 printable characters in quotes', () => {
  fc.assert(
    fc.property(printable, text => {
      fc.pre(text.length > 0 && text.length <= 255)
      expect(readIdempotencyKey(quoted(text))).toBe(text)
      expect(readIdempotencyKey(`${quoted(text)};v=1; w;x="a\\"b"`)).toBe(text)
    })
  )
})

test('reads a text without quotes as the same key', () => {
  const bare = printable.map(text => text.replaceAll(/[ ",;]/g, '')).filter(text => text !== '')
  fc.assert(
    fc.property(bare, text => {
      expect(readIdempotencyKey(text)).toBe(text)
      expect(readIdempotencyKey(quoted(text))).toBe(text)
    })
  )
})

test('returns a key of 1 to 255 printable characters, or refuses the header', () => {
  const header = fc.oneof(
    fc.string({ unit: 'binary' }),
    printable,
    printable.map(text => `"${text}"`)
  )
  fc.assert(
    fc.property(header, text => {
      let key: string | undefined
      try {
        key = readIdempotencyKey(text)
      } catch (error) {
        expect(error).toBeInstanceOf(InvalidIdempotencyKey)
        return
      }
      expect(key).toMatch(/^[ -~]{1,255}$/)
    })
  )
})

test.each([
  ['an empty header', ''],
  ['an empty string', '""'],
  ['256 characters', 'a'.repeat(256)],
  ['256 characters in quotes', quoted('"'.repeat(256))],
  ['a character beyond ASCII', '"é"'],
  ['a control character', 'a\tb'],
  ['a space without quotes', 'a b'],
  ['two keys', '"a", "b"'],
  ['two keys without quotes', 'a,b'],
  ['a quote that does not end', '"a'],
  ['an unknown escape', '"\\a"'],
  ['a text after the string', '"a"b']
])('refuses %s', (_, header) => {
  expect(() => readIdempotencyKey(header)).toThrow(InvalidIdempotencyKey)
})

test.each([
  ['255 characters', 'a'.repeat(255)],
  ['255 characters in quotes', quoted('"'.repeat(255))]
])('accepts %s', (_, header) => {
  expect(readIdempotencyKey(header)).toHaveLength(255)
})

test('returns nothing without the header', () => {
  expect(readIdempotencyKey(undefined)).toBeUndefined()
})
