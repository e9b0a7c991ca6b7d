import { type Static, Type } from 'typebox'

/** The types of events that an endpoint can subscribe to. */
export const WEBHOOK_EVENTS = ['order.completed', 'order.failed', 'order.cancelled'] as const

/** The type of a test event. Every endpoint receives it. */
export const TEST_EVENT = 'webhook.test'

/** The states of a delivery. */
export const DELIVERY_STATUSES = ['waiting', 'delivered', 'failed', 'dropped'] as const
/** A state of a delivery. */
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number]

const EndpointId = Type.String({
  pattern: '^[0-9a-f]{16}$',
  description: 'Id of the endpoint.',
  examples: ['3f9c2a7b10d4e856']
})

const DeliveryId = Type.String({ pattern: '^[1-9][0-9]{0,17}$', description: 'Id of the delivery.' })

const Url = Type.String({
  minLength: 1,
  maxLength: 2048,
  description: 'Where the events are sent: an https URL of a public host, without a user or a password.',
  examples: ['https://shop.example/hooks/orders']
})

const Events = (description?: string) =>
  Type.Array(Type.Enum([...WEBHOOK_EVENTS]), {
    minItems: 1,
    uniqueItems: true,
    ...(description !== undefined && { description })
  })

const Time = (description: string) => Type.String({ format: 'date-time', description })
const TimeOrNull = (description: string) =>
  Type.Union([Type.String({ format: 'date-time' }), Type.Null()], { description })

/** A time of a range. MySQL cannot store every year, and a leap second is invalid. */
const RangeTime = (description: string) =>
  Type.String({
    format: 'date-time',
    pattern: '^[12]\\d{3}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:[0-5]\\d(\\.\\d{1,3})?(Z|[+-]\\d\\d:\\d\\d)$',
    description,
    examples: ['2026-01-31T12:00:00Z']
  })

/** Body of `POST /webhook-endpoints`. */
export const NewWebhookEndpoint = Type.Object(
  {
    url: Url,
    events: Type.Optional(Events('The types of events that the endpoint receives. Without it, all types.'))
  },
  { $id: 'NewWebhookEndpoint', additionalProperties: false, description: 'A webhook endpoint to create.' }
)
/** Body of `POST /webhook-endpoints`. */
export type NewWebhookEndpoint = Static<typeof NewWebhookEndpoint>

/** Body of `PATCH /webhook-endpoints/:id`. */
export const WebhookEndpointChange = Type.Object(
  {
    url: Type.Optional(Url),
    events: Type.Optional(
      Type.Union([Events(), Type.Null()], { description: 'The types of events that it receives. null: all.' })
    ),
    enabled: Type.Optional(
      Type.Boolean({
        description:
          'A disabled endpoint receives nothing, and events that happen meanwhile are not kept for it. What waited before goes out when it is enabled again.'
      })
    )
  },
  {
    $id: 'WebhookEndpointChange',
    additionalProperties: false,
    minProperties: 1,
    description: 'What to change of a webhook endpoint.'
  }
)
/** Body of `PATCH /webhook-endpoints/:id`. */
export type WebhookEndpointChange = Static<typeof WebhookEndpointChange>

const FACTS = {
  id: EndpointId,
  url: Url,
  events: Type.Union([Events(), Type.Null()], {
    description: 'The types of events that it receives. null: all.'
  }),
  enabled: Type.Boolean({ description: 'Whether it receives events.' }),
  disabled_reason: Type.Union([Type.String(), Type.Null()], {
    description: '`gone`: it answered 410. `requested`: a caller disabled it. null while it is enabled.'
  }),
  created_at: Time('When it was created.'),
  updated_at: Time('When a caller last changed it.'),
  failures: Type.Integer({ description: 'Deliveries that failed since the last success.' }),
  parked_until: TimeOrNull(
    'After several failures in a row the endpoint is parked: nothing is sent until this time, and then one delivery. null while it is not parked.'
  ),
  previous_secret_until: TimeOrNull('Until then, the secret before the last rotation signs, too.')
}

/** A webhook endpoint without its secret. */
export const WebhookEndpoint = Type.Object(FACTS, {
  $id: 'WebhookEndpoint',
  description: 'A webhook endpoint, without its secret.'
})
/** A webhook endpoint without its secret. */
export type WebhookEndpoint = Static<typeof WebhookEndpoint>

/** A webhook endpoint with its secret, which only its creation and a rotation show. */
export const IssuedWebhookEndpoint = Type.Object(
  {
    ...FACTS,
    secret: Type.Optional(
      Type.String({
        description:
          'The secret that signs, as libraries of Standard Webhooks take it. It is shown only here. An answer that is replayed for an `Idempotency-Key` does not have it.',
        examples: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']
      })
    )
  },
  { $id: 'IssuedWebhookEndpoint', description: 'A webhook endpoint with its secret.' }
)
/** A webhook endpoint with its secret, which only its creation and a rotation show. */
export type IssuedWebhookEndpoint = Static<typeof IssuedWebhookEndpoint>

/** Answer to `GET /webhook-endpoints`. */
export const WebhookEndpointList = Type.Object(
  { endpoints: Type.Array(Type.Unsafe<WebhookEndpoint>({ $ref: 'WebhookEndpoint#' })) },
  { $id: 'WebhookEndpointList', description: 'All webhook endpoints of the tenant, the oldest one first.' }
)

/** Path parameters of `/webhook-endpoints/:id`. */
export const EndpointParams = Type.Object({ id: EndpointId })

/** Path parameters of `/webhook-endpoints/:id/deliveries/:delivery_id`. */
export const DeliveryParams = Type.Object({ id: EndpointId, delivery_id: DeliveryId })

/** Query of `POST /webhook-endpoints/:id/rotate`. Validation fills in the default. */
export const RotateSecretQuery = Type.Object(
  {
    keep_seconds: Type.Integer({
      minimum: 0,
      maximum: 2_592_000,
      default: 86_400,
      description: 'How long the secret before still signs, in seconds.'
    })
  },
  { required: [] }
)

/** The delivery of an event to an endpoint. */
export const Delivery = Type.Object(
  {
    id: DeliveryId,
    webhook_id: Type.String({ description: 'The `webhook-id` of the event. All attempts have the same.' }),
    type: Type.String({ description: 'Type of the event.' }),
    occurred_at: Time('When the event happened.'),
    status: Type.Enum([...DELIVERY_STATUSES], {
      description:
        '`failed`: no attempt succeeded in three days, or the endpoint is gone. `dropped`: too many deliveries waited for the endpoint, and this was the oldest.'
    }),
    attempts: Type.Integer({ description: 'Attempts so far. A redelivery begins at 0.' }),
    last_attempt_at: TimeOrNull('When the last attempt began.'),
    response_code: Type.Union([Type.Integer(), Type.Null()], {
      description: 'HTTP status of the last answer. null without an answer.'
    }),
    duration_ms: Type.Union([Type.Integer(), Type.Null()], {
      description: 'How long the last attempt took, until the head of the answer or the failure.'
    }),
    error: Type.Union([Type.String(), Type.Null()], { description: 'Why the last attempt failed.' }),
    next_attempt_at: TimeOrNull('When the next attempt is due. null when there is none.')
  },
  { $id: 'Delivery', description: 'The delivery of an event to a webhook endpoint.' }
)
/** The delivery of an event to an endpoint. */
export type Delivery = Static<typeof Delivery>

/** Query of `GET /webhook-endpoints/:id/deliveries`. Validation fills in the default. */
export const DeliveryQuery = Type.Object(
  {
    status: Type.Optional(
      Type.Enum([...DELIVERY_STATUSES], { description: 'Only deliveries in this state.' })
    ),
    limit: Type.Integer({
      minimum: 1,
      maximum: 100,
      default: 20,
      description: 'Most deliveries of one page.'
    }),
    cursor: Type.Optional(
      Type.String({
        pattern: '^[0-9]{1,15}-[0-9]{1,18}$',
        description: 'The `next` of the page before, with the same `status`.'
      })
    )
  },
  { required: [], additionalProperties: false }
)
/** Query of `GET /webhook-endpoints/:id/deliveries`. */
export type DeliveryQuery = Static<typeof DeliveryQuery>

/** Answer to `GET /webhook-endpoints/:id/deliveries`. */
export const DeliveryPage = Type.Object(
  {
    deliveries: Type.Array(Type.Unsafe<Delivery>({ $ref: 'Delivery#' })),
    next: Type.Union([Type.String(), Type.Null()], {
      description: 'Send it as `cursor` for the next page. null on the last page.'
    })
  },
  {
    $id: 'DeliveryPage',
    description:
      'Deliveries, the newest event first. With a `status`, in the order of the end; with `waiting`, of the next attempt.'
  }
)
/** Answer to `GET /webhook-endpoints/:id/deliveries`. */
export type DeliveryPage = Static<typeof DeliveryPage>

/** Body of `POST /webhook-endpoints/:id/redeliver`. */
export const RedeliverRange = Type.Object(
  {
    from: RangeTime('Events from this time on.'),
    to: RangeTime('Events before this time.'),
    status: Type.Optional(
      Type.Array(Type.Enum(['delivered', 'failed', 'dropped']), {
        minItems: 1,
        uniqueItems: true,
        description: 'Deliveries in these states. Without it, `failed` and `dropped`.'
      })
    ),
    cursor: Type.Optional(
      Type.String({
        pattern: '^[0-9]{1,15}-[0-9]{1,18}$',
        description: 'The `next` of the answer before, with the same range and states.'
      })
    )
  },
  { $id: 'RedeliverRange', additionalProperties: false, description: 'Deliveries to send again.' }
)
/** Body of `POST /webhook-endpoints/:id/redeliver`. */
export type RedeliverRange = Static<typeof RedeliverRange>

/** Answer to `POST /webhook-endpoints/:id/redeliver`. */
export const Redelivered = Type.Object(
  {
    redelivered: Type.Integer({ description: 'Deliveries that wait again.' }),
    next: Type.Union([Type.String(), Type.Null()], {
      description: 'Send the request again with it as `cursor`: the range has more. null when it is done.'
    })
  },
  { $id: 'Redelivered', description: 'What is sent again.' }
)
/** Answer to `POST /webhook-endpoints/:id/redeliver`. */
export type Redelivered = Static<typeof Redelivered>
