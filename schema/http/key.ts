import { type Static, Type } from 'typebox'
import { Reason } from './admin-action.ts'

/** What a caller may do. */
export const Scope = Type.Enum(['orders:write', 'orders:read', 'webhooks', 'admin:read', 'admin'], {
  description:
    '`orders:write` accepts orders, `orders:read` reads them. `webhooks` manages webhook endpoints, which receive the orders. `admin:read` reads under /admin, `admin` changes there. No scope includes another.'
})
/** What a caller may do. */
export type Scope = Static<typeof Scope>

/** The tenant of callers without a tenant of their own. */
export const DEFAULT_TENANT = 'default'

const KeyId = Type.String({
  pattern: '^[0-9a-f]{16}$',
  description: 'Id of the key. It is the middle part of the key.',
  examples: ['3f9c2a7b10d4e856']
})

const Name = Type.String({ minLength: 1, maxLength: 100, description: 'A name for people.' })

/** The name of a tenant. */
export const Tenant = Type.String({
  pattern: '^[a-z0-9][a-z0-9-]{0,39}$',
  description: 'Tenant whose orders the caller may touch: up to 40 of a–z, 0–9 and hyphens.',
  examples: [DEFAULT_TENANT]
})

const RateLimit = { minimum: 1, maximum: 1_000_000, description: 'Most requests of this key in a second.' }

const Scopes = Type.Array(Scope, { minItems: 1, uniqueItems: true })

const Time = (description: string) => Type.String({ format: 'date-time', description })
const TimeOrNull = (description: string) =>
  Type.Union([Type.String({ format: 'date-time' }), Type.Null()], { description })

/** Body of `POST /admin/keys`. */
export const NewKey = Type.Object(
  {
    name: Name,
    tenant: Type.Optional(Tenant),
    scopes: Scopes,
    expires_at: Type.Optional(Time('From then on the key is refused. Without it, the key does not expire.')),
    reason: Type.Optional(Reason),
    rate_limit: Type.Optional(
      Type.Integer({ ...RateLimit, description: `${RateLimit.description} Without it: RATE_LIMIT_MAX.` })
    )
  },
  { $id: 'NewKey', additionalProperties: false, description: 'An API key to create.' }
)
/** Body of `POST /admin/keys`. */
export type NewKey = Static<typeof NewKey>

const FACTS = {
  id: KeyId,
  name: Name,
  tenant: Tenant,
  scopes: Scopes,
  created_at: Time('When the key was made.'),
  expires_at: TimeOrNull('From then on the key is refused. null: never.'),
  revoked_at: TimeOrNull('When the key was revoked. null: it is not.'),
  last_used_at: TimeOrNull('The last use, some seconds late. null: it was not used.'),
  rate_limit: Type.Union([Type.Integer(RateLimit), Type.Null()], {
    description: `${RateLimit.description} null: RATE_LIMIT_MAX.`
  }),
  live_secrets: Type.Integer({ description: 'Secrets that are accepted: 2 while the key is rotated.' })
}

/** An API key without its secret. */
export const ApiKey = Type.Object(FACTS, { $id: 'ApiKey', description: 'An API key, without its secret.' })
/** An API key without its secret. */
export type ApiKey = Static<typeof ApiKey>

/** An API key with its text, which is shown only once. */
export const IssuedKey = Type.Object(
  {
    ...FACTS,
    key: Type.Optional(
      Type.String({
        description:
          'What the caller sends as bearer token. It is shown only here, and it is not stored: a replayed answer does not have it. If the first answer was lost, rotate the key.'
      })
    )
  },
  { $id: 'IssuedKey', description: 'An API key with its text.' }
)
/** An API key with its text, which is shown only once. Only a replayed answer has no text. */
export type IssuedKey = Required<Static<typeof IssuedKey>>

/** Answer to `GET /admin/keys`. */
export const KeyPage = Type.Object(
  {
    keys: Type.Array(Type.Unsafe<ApiKey>({ $ref: 'ApiKey#' })),
    next: Type.String({ description: 'The `after` of the next page; empty on the last page.' })
  },
  { $id: 'KeyPage', description: 'API keys, by id.' }
)
/** Answer to `GET /admin/keys`. */
export type KeyPage = Static<typeof KeyPage>

/** Answer to `DELETE /admin/keys/:id`. */
export const RevokedKey = Type.Object(
  { id: KeyId, revoked_at: Time('When the key was revoked.') },
  { $id: 'RevokedKey', description: 'A revoked key. Every process refuses it within ten seconds.' }
)
/** Answer to `DELETE /admin/keys/:id`. */
export type RevokedKey = Static<typeof RevokedKey>

/** Path parameters of `/admin/keys/:id`. */
export const KeyParams = Type.Object({ id: KeyId })

/** Query of `GET /admin/keys`. Validation fills in the defaults. */
export const KeyQuery = Type.Object(
  {
    after: Type.String({
      default: '',
      pattern: '^([0-9a-f]{16})?$',
      description: 'Last id of the previous page.'
    }),
    limit: Type.Integer({ minimum: 1, maximum: 500, default: 100 })
  },
  { required: [] }
)

/** Query of `POST /admin/keys/:id/rotate`. Validation fills in the default. */
export const RotateQuery = Type.Object(
  {
    reason: Type.Optional(Reason),
    keep_seconds: Type.Integer({
      minimum: 0,
      maximum: 31_536_000,
      default: 86_400,
      description: 'How long the secret before is still accepted, in seconds.'
    })
  },
  { required: [] }
)
