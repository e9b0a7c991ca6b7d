import { type Static, Type } from 'typebox'
import { FunctionName } from '../config/function.ts'
import { Reason } from './admin-action.ts'

/** The partition and the entry id. Each number in an entry id is below 2⁶⁴, and in practice has at most 19 digits. */
const DEAD_LETTER_ID = '\\d{1,3}:\\d{1,19}-\\d{1,19}'

const DeadLetterId = Type.String({ pattern: `^${DEAD_LETTER_ID}$`, examples: ['0:1769860800000-0'] })

const Time = (description: string) =>
  Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
    description: `${description} null when it cannot be read.`
  })

/** A dead letter, as the admin routes return it. */
export const DeadLetter = Type.Object(
  {
    id: DeadLetterId,
    function: FunctionName,
    message_id: Type.String({
      description: 'Id of the message. It stays the same when the dead letter is redriven.'
    }),
    request_id: Type.String({ description: 'Id of the request that caused the message.' }),
    code: Type.String({
      description:
        '`conflict`, `corrupt`, `crashed`, `exhausted`, `invalid`, `too-large`, or a code of the function.'
    }),
    cause: Type.Object({ class: Type.String(), message: Type.String() }),
    attempts: Type.Integer(),
    first_at: Time('First attempt.'),
    last_at: Time('Last attempt.'),
    data: Type.String({
      description:
        'The message as it was received, in JSON. A list has its first 4 KiB, a single dead letter all that is kept.'
    }),
    data_bytes: Type.Integer({ description: 'Length of the message in bytes.' }),
    redrivable: Type.Boolean({
      description: '`false` when the message is not kept in full: it was too large, or could not be read.'
    }),
    corrupt: Type.Optional(
      Type.Literal(true, {
        description: 'A field is missing or cannot be read. It is empty, 0 or null here.'
      })
    )
  },
  { $id: 'DeadLetter', description: 'A message that its function will not try again.' }
)
/** A dead letter, as the admin routes return it. */
export type DeadLetter = Static<typeof DeadLetter>

/** Answer to `GET /admin/dead-letters`. */
export const DeadLetterPage = Type.Object(
  {
    dead_letters: Type.Array(Type.Unsafe<DeadLetter>({ $ref: 'DeadLetter#' })),
    next: Type.String({ description: 'The `after` of the next page; empty on the last page.' })
  },
  {
    $id: 'DeadLetterPage',
    description: 'Dead letters, oldest first. A page of large ones is shorter than its limit.'
  }
)

/** Query of `GET /admin/dead-letters`. Validation fills in the defaults. */
export const ListQuery = Type.Object(
  {
    function: Type.Unsafe<string>({ ...FunctionName, default: 'process-orders' }),
    after: Type.String({
      default: '',
      pattern: `^(${DEAD_LETTER_ID})?$`,
      description: 'Last id of the previous page.'
    }),
    limit: Type.Integer({ minimum: 1, maximum: 500, default: 50 })
  },
  { required: [] }
)

/** Path parameters of `GET /admin/dead-letters/:function/:id`. */
export const DeadLetterParams = Type.Object({ function: FunctionName, id: DeadLetterId })

/** Body of `POST /admin/dead-letters/redrive`. */
export const Redrive = Type.Object(
  {
    function: FunctionName,
    ids: Type.Optional(
      Type.Array(DeadLetterId, {
        minItems: 1,
        maxItems: 1000,
        description: 'The dead letters to redrive; all by default.'
      })
    ),
    reason: Type.Optional(Reason),
    rate: Type.Optional(
      Type.Number({ minimum: 0.01, maximum: 100_000, description: 'Dead letters a second; 100 by default.' })
    )
  },
  { $id: 'Redrive', additionalProperties: false, description: 'Dead letters to send back to their function.' }
)
/** Body of `POST /admin/dead-letters/redrive`. */
export type Redrive = Static<typeof Redrive>

/** Body of `POST /admin/dead-letters/discard`. */
export const Discard = Type.Object(
  {
    function: FunctionName,
    ids: Type.Array(DeadLetterId, { minItems: 1, maxItems: 1000 }),
    reason: Type.String({
      minLength: 1,
      maxLength: 500,
      description: 'Why they are not needed. It is stored with them.'
    })
  },
  { $id: 'Discard', additionalProperties: false, description: 'Dead letters to discard.' }
)
/** Body of `POST /admin/dead-letters/discard`. */
export type Discard = Static<typeof Discard>

/** Answer to the routes that redrive and discard dead letters. */
export const Dealt = Type.Object(
  {
    count: Type.Integer({ description: 'How many dead letters were redriven or discarded.' }),
    missing: Type.Optional(
      Type.Array(Type.String(), {
        description: 'The ids without a dead letter. Absent when there are none, or more than 100.'
      })
    )
  },
  { $id: 'Dealt', description: 'The result for a list of dead letters.' }
)
/** Answer to the routes that redrive and discard dead letters. */
export type Dealt = Static<typeof Dealt>
