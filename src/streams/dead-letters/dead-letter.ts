/** A message that a function has dead-lettered. A field that cannot be read is empty, 0 or undefined. */
export interface DeadLetter {
  /** `<partition>:<entry id>`. */
  id: string
  function: string
  /** Id of the message; a redrive keeps it. */
  messageId: string
  requestId: string
  /** The reason why the message is a dead letter, as a short, machine-readable word. */
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
  /** False when only a part of the message is kept. */
  redrivable: boolean
  /** True when a field is missing or cannot be read. */
  corrupt: boolean
}

/** Fields that every version of the service writes. The service did not write an entry that lacks one of them. */
const REQUIRED = ['id', 'data', 'code', 'error', 'message', 'attempts', 'first_at', 'last_at']

/** The end of the year 9999 (ms since 1970): time formats have years of four digits. */
const LAST_TIME = 253_402_300_799_999

/**
 * Decodes an entry of the stream of dead letters. `fields` may have only the beginning of the data; `bytes` is the size
 * of the whole data.
 */
export function decodeDeadLetter(name: string, id: string, fields: string[], bytes?: number): DeadLetter {
  const named = toMap(fields)
  const field = (key: string) => named.get(key) ?? ''
  const [attempts, firstAt, lastAt] = [
    toNumber(field('attempts')),
    toTime(field('first_at')),
    toTime(field('last_at'))
  ]
  const isReadable = ![attempts, firstAt, lastAt].includes(undefined)
  return {
    id,
    function: name,
    messageId: field('id'),
    requestId: field('request_id'),
    code: field('code'),
    cause: { class: field('error'), message: field('message') },
    attempts: attempts ?? 0,
    firstAt,
    lastAt,
    data: field('data'),
    dataBytes: toNumber(field('bytes')) ?? bytes ?? Buffer.byteLength(field('data')),
    redrivable: field('partial') === '',
    corrupt: !isReadable || !REQUIRED.every(key => named.has(key))
  }
}

/** Returns the fields of an entry by name. When a name occurs twice, the first field counts. */
function toMap(fields: string[]): Map<string, string> {
  const named = new Map<string, string>()
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [name, value] = [fields[at] as string, fields[at + 1] as string]
    if (!named.has(name)) named.set(name, value)
  }
  return named
}

/** Parses a whole number that has no sign and at most 15 digits; returns undefined for any other text. */
function toNumber(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/** Parses a time in ms since 1970; returns undefined when it is invalid. */
function toTime(text: string): number | undefined {
  const time = toNumber(text)
  return time !== undefined && time <= LAST_TIME ? time : undefined
}
