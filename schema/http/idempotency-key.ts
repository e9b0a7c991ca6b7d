import { Type } from 'typebox'

/** The longest key, in characters. */
export const MAX_KEY_LENGTH = 255

/** One character of a string in quotes (RFC 8941, section 3.3.3). A backslash comes before a quote or a backslash. */
const QUOTED = '[ !#-\\[\\]-~]|\\\\["\\\\]'

/** The characters of a text without quotes: visible ASCII. A quote, a comma or a semicolon would end it. */
const BARE = '[!#-+\\--:<-~]'

/** The parameters of an item (RFC 8941, section 3.1.2). The draft defines none. */
const PARAMETERS = `(?: *; *[a-z*][a-z0-9_.*-]*(?:=(?:"(?:${QUOTED})*"|${BARE}+))?)*`

/** A key: a string of a structured field, or the same text without quotes, as many clients send it. */
export const KEY_PATTERN = `^(?:"(${QUOTED}){1,${MAX_KEY_LENGTH}}"${PARAMETERS}|${BARE}{1,${MAX_KEY_LENGTH}})$`

/** The header of a route that has the setting `idempotencyKey`. */
export const IdempotencyHeader = Type.Object({
  'Idempotency-Key': Type.Optional(
    Type.String({
      pattern: KEY_PATTERN,
      description: `Makes a retry safe: a request with the same key runs once. A string in quotes, such as a UUID, with 1 to ${MAX_KEY_LENGTH} characters of printable ASCII. The quotes may be left out. The service keeps a key for 24 hours.`,
      examples: ['"8e03978e-40d5-43e8-bc93-6894a57f9324"']
    })
  )
})
