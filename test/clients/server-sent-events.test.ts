import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LineParser } from '../../clients/typescript/src/lines.ts'
import { EventParser, type Frame } from '../../clients/typescript/src/server-sent-events.ts'

const encode = (text: string) => new TextEncoder().encode(text)

/** Cuts bytes at the places, which may be equal. */
function cutAt(bytes: Uint8Array, places: number[]): Uint8Array[] {
  const cuts = [0, ...places.map(place => place % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  return cuts.slice(1).map((end, index) => bytes.subarray(cuts[index], end))
}

const places = fc.array(fc.nat(), { maxLength: 20 })
const value = fc.string({ unit: 'grapheme', maxLength: 12 }).map(text => text.replaceAll(/[\r\n\0]/g, 'x'))

interface Sent {
  id: string
  event: string
  data: string[]
  comment: string
}

const events = fc.array(
  fc.record({ id: value, event: value, data: fc.array(value, { maxLength: 3 }), comment: value }),
  { maxLength: 6 }
)

function render({ id, event, data, comment }: Sent, end: string): string {
  const lines = [`:${comment}`, `id: ${id}`, `event: ${event}`, ...data.map(line => `data: ${line}`), '']
  return lines.map(line => line + end).join('')
}

test('the events of a stream are the same wherever its bytes are cut', () => {
  fc.assert(
    fc.property(events, fc.constantFrom('\n', '\r\n', '\r'), places, (sent, end, cuts) => {
      const parser = new EventParser()
      const bytes = encode(sent.map(each => render(each, end)).join(''))
      const expected = sent.map(
        ({ id, event, data }): Frame => ({
          id,
          event: data.length === 0 ? undefined : event || 'message',
          data: data.join('\n')
        })
      )
      // The LF of a CRLF at the end belongs to the line before it.
      expect(cutAt(bytes, cuts).flatMap(chunk => parser.push(chunk))).toEqual(expected)
    })
  )
})

test.each<[string, Frame[]]>([
  ['data\n\n', [{ id: '', event: 'message', data: '' }]],
  ['data:a\ndata: b\n\n', [{ id: '', event: 'message', data: 'a\nb' }]],
  ['\uFEFFdata:  a\n\n', [{ id: '', event: 'message', data: ' a' }]],
  [
    'id: 1\ndata: a\n\ndata: b\n\n',
    [1, 2].map(n => ({ id: '1', event: 'message', data: n === 1 ? 'a' : 'b' }))
  ],
  ['id: 1\0\nid: 2\n\n', [{ id: '2', event: undefined, data: '' }]],
  ['event: a\nunknown: b\ndata: incomplete', []]
])('%j has the events of the standard', (text, frames) => {
  expect(new EventParser().push(encode(text))).toEqual(frames)
})

test('a stream may set the pause before the next connection', () => {
  const parser = new EventParser()
  parser.push(encode('retry: 250\nretry: soon\n\n'))
  expect(parser.retry).toBe(250)
})

test('the lines of a body are the same wherever its bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(value), places, (sent, cuts) => {
      const parser = new LineParser()
      const bytes = encode(sent.map(line => `${line}\n`).join(''))
      expect(cutAt(bytes, cuts).flatMap(chunk => parser.push(chunk))).toEqual(sent)
      expect(parser.push(encode('incomplete'))).toEqual([])
    })
  )
})
