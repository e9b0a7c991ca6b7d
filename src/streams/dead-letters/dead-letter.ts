import { fieldOf } from '../group/delivery.ts'

/** A message that a function has given up. A field that cannot be read is empty, 0 or undefined. */
export interface DeadLetter {
  /** `<partition>:<entry id>`. */
  id: string
  function: string
  /** Id of the message; a redrive keeps it. */
  messageId: string
  requestId: string
  /** Why the message was given up, as a short word for machines. */
  code: string
  /** The error of the last attempt. */
  cause: { class: string; message: string }
  attempts: number
  /** Time of the first attempt, in ms since 1970. */
  firstAt: number | undefined
  /** Time of the last attempt, in ms since 1970. */
  lastAt: number | undefined
  /** The message in JSON; a list has only its beginning. */
  data: string
  /** Length of the whole message in bytes. */
  dataBytes: number
  /** False when the whole message is not kept. */
  redrivable: boolean
  /** True when a field is missing or cannot be read. */
  corrupt: boolean
}

/** Fields that every version of the service writes. An entry without one of them has another author. */
const REQUIRED = ['id', 'data', 'code', 'error', 'message', 'attempts', 'first_at', 'last_at']

/** The last moment of the year 9999 (ms): time formats take years of four digits. */
const LAST_TIME = 253_402_300_799_999

/** Whether an entry lacks a field of a dead letter, or has one that cannot be read. */
function isCorrupt(fields: string[]): boolean {
  const has = (name: string) => fields.some((field, index) => index % 2 === 0 && field === name)
  return (
    !REQUIRED.every(has) ||
    toNumber(fieldOf(fields, 'attempts')) === undefined ||
    ['first_at', 'last_at'].some(name => toTime(fieldOf(fields, name)) === undefined)
  )
}

/**
 * Decodes an entry of the stream of dead letters. `bytes` is the size of its data, of which `fields` may have only the
 * beginning.
 */
export function decodeDeadLetter(
  name: string,
  id: string,
  fields: string[],
  bytes = Buffer.byteLength(fieldOf(fields, 'data'))
): DeadLetter {
  const field = (key: string) => fieldOf(fields, key)
  return {
    id,
    function: name,
    messageId: field('id'),
    requestId: field('request_id'),
    code: field('code'),
    cause: { class: field('error'), message: field('message') },
    attempts: toNumber(field('attempts')) ?? 0,
    firstAt: toTime(field('first_at')),
    lastAt: toTime(field('last_at')),
    data: field('data'),
    dataBytes: toNumber(field('bytes')) ?? bytes,
    redrivable: field('partial') === '',
    corrupt: isCorrupt(fields)
  }
}

/** A whole number without a sign that a double holds exactly; undefined for any other text. */
function toNumber(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/** A time in ms; undefined when it cannot be read. */
function toTime(text: string): number | undefined {
  const time = toNumber(text)
  return time !== undefined && time <= LAST_TIME ? time : undefined
}
