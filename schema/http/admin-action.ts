import { type Static, Type } from 'typebox'

/** Why an operator does something. The log of admin actions keeps it. */
export const Reason = Type.String({
  minLength: 1,
  maxLength: 500,
  description: 'Why this is done. The log of admin actions keeps it.'
})

/** An action of an operator. */
export const AdminAction = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    time: Type.String({ format: 'date-time', description: 'When the request came (UTC).' }),
    actor: Type.String({
      description: 'Who did it: `admin-token` or `key:<id>`.',
      examples: ['key:3f9c2a7b10d4e856']
    }),
    client: Type.String({ description: 'The address of the client.' }),
    request_id: Type.String(),
    action: Type.String({ description: 'The operation of the API.', examples: ['revokeKey'] }),
    details: Type.Object(
      {},
      { additionalProperties: true, description: 'The parameters and the body, without the reason.' }
    ),
    reason: Type.Union([Reason, Type.Null()]),
    status: Type.Union([Type.Integer(), Type.Null()], {
      description: 'The status of the answer. null: the process stopped before the answer.'
    })
  },
  { $id: 'AdminAction', description: 'An action of an operator.' }
)
/** An action of an operator. */
export type AdminAction = Static<typeof AdminAction>

/** Answer to `GET /admin/actions`. */
export const AdminActionPage = Type.Object(
  {
    actions: Type.Array(Type.Unsafe<AdminAction>({ $ref: 'AdminAction#' })),
    next: Type.String({ description: 'The `after` of the next page; empty on the last page.' })
  },
  { $id: 'AdminActionPage', description: 'Actions of operators, the newest first.' }
)
/** Answer to `GET /admin/actions`. */
export type AdminActionPage = Static<typeof AdminActionPage>

/** Query of `GET /admin/actions`. Validation fills in the defaults. */
export const AdminActionQuery = Type.Object(
  {
    after: Type.String({
      default: '',
      pattern: '^\\d{0,18}$',
      description: 'The `next` of the previous page.'
    }),
    limit: Type.Integer({ minimum: 1, maximum: 100, default: 50 })
  },
  { required: [] }
)

/** Query of an /admin route without a body. */
export const ReasonQuery = Type.Object({ reason: Type.Optional(Reason) })
