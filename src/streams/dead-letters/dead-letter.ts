/** A message that a function has dead-lettered. A field that cannot be read is empty, 0 or undefined. */
export interface DeadLetter {
  /** `<partition>:<entry id>`. */
  id: string
  function: string
  /** Id of the message; a redrive keeps it. */
  messageId: string
  requestId: string
  /** The reason why the message is a dead letter, as a short word for machines. */
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

/**
 * Decodes an entry of the stream of dead letters. `bytes` is the size of its data, of which `fields` may have only the
 * beginning.
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

/** The fields of an entry by name. The first one of a name counts. */
function toMap(fields: string[]): Map<string, string> {
  const named = new Map<string, string>()
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [name, value] = [fields[at] as string, fields[at + 1] as string]
    if (!named.has(name)) named.set(name, value)
  }
  return named
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
