import { type Static, Type } from 'typebox'
import { FunctionName } from '../config/function.ts'

/** Partition and entry id. Redis takes neither part of that above 2⁶⁴ − 1, and gives none of 20 digits for ages. */
const DEAD_LETTER_ID = '\\d{1,3}:\\d{1,19}-\\d{1,19}'

const DeadLetterId = Type.String({ pattern: `^${DEAD_LETTER_ID}$`, examples: ['0:1769860800000-0'] })

const Time = (description: string) =>
  Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
    description: `${description} null when it cannot be read.`
  })

/** A message that a function has given up. */
export const DeadLetter = Type.Object(
  {
    id: DeadLetterId,
    function: FunctionName,
    message_id: Type.String({
      description: 'Id of the message; it stays the same when the letter is redriven.'
    }),
    request_id: Type.String({ description: 'The request that the message goes back to.' }),
    code: Type.String({
      description:
        '`conflict`, `corrupt`, `crashed`, `exhausted`, `invalid`, `too-large`, or a word of the function’s own.'
    }),
    cause: Type.Object({ class: Type.String(), message: Type.String() }),
    attempts: Type.Integer(),
    first_at: Time('First attempt.'),
    last_at: Time('Last attempt.'),
    data: Type.String({
      description:
        'The message as it came, in JSON. A list has its first 4 KiB, and one letter has all that is kept.'
    }),
    data_bytes: Type.Integer({ description: 'Length of the message in bytes.' }),
    redrivable: Type.Boolean({
      description: '`false` when the whole message is not kept: it was too large, or could not be read.'
    }),
    corrupt: Type.Optional(
      Type.Literal(true, {
        description: 'A field is missing or cannot be read: it is empty, 0 or null here.'
      })
    )
  },
  { $id: 'DeadLetter', description: 'A message that a function has given up.' }
)
export type DeadLetter = Static<typeof DeadLetter>

export const DeadLetterPage = Type.Object(
  {
    dead_letters: Type.Array(Type.Unsafe<DeadLetter>({ $ref: 'DeadLetter#' })),
    next: Type.String({ description: 'Where the next page begins (`after`); empty when this was the last.' })
  },
  {
    $id: 'DeadLetterPage',
    description: 'Dead letters, oldest first. Large ones make a page shorter than its limit.'
  }
)

/** Query of `GET /admin/dead-letters`. None need be given: validation fills the defaults in. */
export const ListQuery = Type.Object(
  {
    function: Type.Unsafe<string>({ ...FunctionName, default: 'process-orders' }),
    after: Type.String({
      default: '',
      pattern: `^(${DEAD_LETTER_ID})?$`,
      description: 'Last id of the page before.'
    }),
    limit: Type.Integer({ minimum: 1, maximum: 500, default: 50 })
  },
  { required: [] }
)

export const DeadLetterParams = Type.Object({ function: FunctionName, id: DeadLetterId })

/** Body of `POST /admin/dead-letters/redrive`. */
export const Redrive = Type.Object(
  {
    function: FunctionName,
    ids: Type.Optional(
      Type.Array(DeadLetterId, { minItems: 1, maxItems: 1000, description: 'Which letters; all without it.' })
    ),
    rate: Type.Optional(
      Type.Number({ minimum: 0.01, maximum: 100_000, description: 'Letters a second; 100 by default.' })
    )
  },
  { $id: 'Redrive', additionalProperties: false, description: 'Dead letters to send back to their function.' }
)
export type Redrive = Static<typeof Redrive>

/** Body of `POST /admin/dead-letters/discard`. */
export const Discard = Type.Object(
  {
    function: FunctionName,
    ids: Type.Array(DeadLetterId, { minItems: 1, maxItems: 1000 }),
    reason: Type.String({
      minLength: 1,
      maxLength: 500,
      description: 'Why they are not needed; it is kept with them.'
    })
  },
  { $id: 'Discard', additionalProperties: false, description: 'Dead letters to discard.' }
)
export type Discard = Static<typeof Discard>

export const Dealt = Type.Object(
  {
    count: Type.Integer({ description: 'How many letters it was done to.' }),
    missing: Type.Optional(
      Type.Array(Type.String(), {
        description:
          'Those of the ids that no letter has; left out when there is none, and when they are more than 100.'
      })
    )
  },
  { $id: 'Dealt', description: 'What was done.' }
)
export type Dealt = Static<typeof Dealt>
