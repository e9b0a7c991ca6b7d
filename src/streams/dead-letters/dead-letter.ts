import type { DeadLetter } from '../../../schema/http/dead-letter.ts'
import { fieldOf } from '../group/delivery.ts'

/** Fields of a dead letter that every version has written: one without them was written by somebody else. */
const REQUIRED = ['id', 'data', 'code', 'error', 'message', 'attempts', 'first_at', 'last_at']

/** The last moment that has a year of four digits, which is what formats of times take (ms). */
const LAST_TIME = 253_402_300_799_999

/** Whether a dead letter lacks a field, or has one that cannot be read. */
export function isCorrupt(fields: string[]): boolean {
  const has = (name: string) => fields.some((field, index) => index % 2 === 0 && field === name)
  return (
    !REQUIRED.every(has) ||
    wholeNumber(fieldOf(fields, 'attempts')) === undefined ||
    ['first_at', 'last_at'].some(name => toTime(fieldOf(fields, name)) === null)
  )
}

/**
 * A dead letter as it is shown; what cannot be read of it is empty, 0 or null. `bytes` is the size of its data, of which
 * `fields` may have only the beginning.
 */
export function toLetter(
  name: string,
  id: string,
  fields: string[],
  bytes = Buffer.byteLength(fieldOf(fields, 'data'))
): DeadLetter {
  const field = (key: string) => fieldOf(fields, key)
  return {
    id,
    function: name,
    message_id: field('id'),
    request_id: field('request_id'),
    code: field('code'),
    cause: { class: field('error'), message: field('message') },
    attempts: wholeNumber(field('attempts')) ?? 0,
    first_at: toTime(field('first_at')),
    last_at: toTime(field('last_at')),
    data: field('data'),
    data_bytes: wholeNumber(field('bytes')) ?? bytes,
    redrivable: field('partial') === '',
    ...(isCorrupt(fields) && { corrupt: true })
  }
}

/** A number that has no sign and is exact; undefined for any other text. */
function wholeNumber(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

function toTime(text: string): string | null {
  const time = wholeNumber(text)
  return time === undefined || time > LAST_TIME ? null : new Date(time).toISOString()
}
