import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createElements } from '../../src/http/batch/elements.ts'
import { BrokenBatch, NoBatch, OrderTooLarge } from '../../src/http/batch/faults.ts'
import { createLines } from '../../src/http/batch/lines.ts'
import type { Splitter } from '../../src/http/batch/splitter.ts'

const LIMIT = 2000

/** Splits a body that arrives in chunks of these sizes. Returns the texts and errors. */
function split(splitter: Splitter, body: Buffer, sizes: number[]): (string | Error)[] {
  const found: (string | Error)[] = []
  const add = (piece: string | Error | undefined) => {
    if (piece !== undefined) found.push(piece)
    return piece
  }
  let at = 0
  for (let turn = 0; at < body.length; turn++) {
    const end = at + (sizes[turn % sizes.length] ?? body.length)
    splitter.push(body.subarray(at, end))
    at = end
    let piece = add(splitter.next())
    while (piece !== undefined) {
      if (piece instanceof NoBatch || piece instanceof BrokenBatch) return found
      piece = add(splitter.next())
    }
  }
  add(splitter.end())
  return found
}

const values = fc.array(fc.json({ maxDepth: 3 }), { maxLength: 12 })
const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 })
const space = (...characters: string[]) =>
  fc.array(fc.string({ unit: fc.constantFrom(...characters), maxLength: 4 }), { minLength: 4, maxLength: 4 })
const mark = fc.constantFrom('', '\ufeff')

const textsOf = (found: (string | Error)[]) =>
  found.map(piece => (typeof piece === 'string' ? piece.replace(/^\ufeff/, '').trim() : piece))

describe('NDJSON', () => {
  test('yields the same texts, however it is spaced and cut', () => {
    fc.assert(
      fc.property(
        values,
        sizes,
        space(' ', '\t', '\r'),
        mark,
        fc.boolean(),
        (texts, cuts, spaces, bom, ends) => {
          const [a, b, c, d] = spaces
          const body = `${bom}${texts.map(text => `${a}${text}${b}`).join(`\n${c}\n${d}\n`)}${ends ? '\n' : ''}`
          const found = split(createLines(LIMIT), Buffer.from(body), cuts)
          if (texts.length === 0) expect(found).toEqual([expect.any(NoBatch)])
          else expect(textsOf(found)).toEqual(texts)
        }
      ),
      { numRuns: 1000 }
    )
  })

  test('has an error in the place of a line that is longer than the limit', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), sizes, (lengths, cuts) => {
        const lines = lengths.map(length => 'x'.repeat(length))
        const found = split(createLines(20), Buffer.from(lines.join('\n')), cuts)
        expect(found).toEqual(lines.map(line => (line.length > 20 ? expect.any(OrderTooLarge) : line)))
      })
    )
  })
})

describe('a JSON array', () => {
  test('yields the same texts, however it is spaced and cut', () => {
    fc.assert(
      fc.property(values, sizes, space(' ', '\t', '\r', '\n'), mark, (texts, cuts, spaces, bom) => {
        const [a, b, c, d] = spaces
        const body = `${bom}${a}[${b}${texts.join(`${c},${d}`)}${b}]${a}`
        expect(textsOf(split(createElements(LIMIT), Buffer.from(body), cuts))).toEqual(texts)
      }),
      { numRuns: 1000 }
    )
  })

  test('ends with an error when it is cut off', () => {
    fc.assert(
      fc.property(
        fc.array(fc.json({ maxDepth: 2 }), { minLength: 1, maxLength: 5 }),
        fc.nat(),
        sizes,
        (texts, n, cuts) => {
          const body = Buffer.from(`[${texts.join(',')}]`)
          const kept = body.subarray(0, n % body.length)
          const found = split(createElements(LIMIT), kept, cuts)
          expect(found.at(-1)).toBeInstanceOf(kept.length === 0 ? NoBatch : BrokenBatch)
          expect(texts.slice(0, found.length - 1)).toEqual(found.slice(0, -1))
        }
      )
    )
  })

  test('yields texts that make up the array exactly when the whole text is a JSON array', () => {
    const fragment = fc.constantFrom(
      '[',
      ']',
      '{',
      '}',
      ',',
      ':',
      '"',
      '\\',
      '1',
      'x',
      ' ',
      '""',
      '{"a":1}',
      '[]'
    )
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 12 }), sizes, (fragments, cuts) => {
        const text = fragments.join('')
        const found = split(createElements(LIMIT), Buffer.from(text), cuts)
        const parsed = attempt(() => JSON.parse(text))
        const values = attempt(() => found.map(piece => JSON.parse(piece as string)))
        expect(values).toEqual(Array.isArray(parsed) ? parsed : undefined)
      }),
      { numRuns: 3000 }
    )
  })

  test('has an error in the place of an element that is longer than the limit', () => {
    const long = `"${'],['.repeat(20)}"`
    expect(split(createElements(20), Buffer.from(`[1,${long},[2]]`), [7])).toEqual([
      '1',
      expect.any(OrderTooLarge),
      '[2]'
    ])
  })
})

function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}
