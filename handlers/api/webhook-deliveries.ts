import { bodyErrors } from '../../schema/http/admin.ts'
import { ref } from '../../schema/http/ref.ts'
import { problem, response } from '../../schema/http/response.ts'
import {
  Delivery,
  DeliveryPage,
  DeliveryParams,
  DeliveryQuery,
  EndpointParams,
  Redelivered,
  RedeliverRange
} from '../../schema/http/webhook.ts'
import { webhookErrors, webhookRoute } from '../../schema/http/webhook-route.ts'
import type { App } from '../../src/app.ts'

const unknown = { 404: problem('There is no such endpoint, or no such delivery.') }
const full = { 409: problem('Too many deliveries wait for the endpoint.') }

const list = {
  ...webhookRoute,
  operationId: 'listWebhookDeliveries',
  summary: 'List the deliveries of a webhook endpoint',
  description:
    'The newest event is first. With a `status`, the delivery that ended last is first, and with `waiting` the one whose next attempt is last. A delivery stays for seven days after its end.',
  params: EndpointParams,
  querystring: DeliveryQuery,
  response: {
    ...webhookErrors,
    200: response(DeliveryPage, { description: 'A page of deliveries.' }),
    ...unknown
  }
} as const

const redeliver = {
  ...webhookRoute,
  operationId: 'redeliverWebhook',
  summary: 'Send one delivery again',
  description: 'At once and with new attempts, whatever its state is. The `webhook-id` stays the same.',
  params: DeliveryParams,
  response: {
    ...webhookErrors,
    202: response(Delivery, { description: 'The delivery waits again.' }),
    ...unknown,
    ...full,
    ...bodyErrors
  }
} as const

const redeliverRange = {
  ...webhookRoute,
  operationId: 'redeliverWebhooks',
  summary: 'Send the deliveries of a time range again',
  description:
    'A request reads at most 10,000 deliveries, and ends early when too many wait. Repeat it with `next` as `cursor` until `next` is null.',
  params: EndpointParams,
  body: ref(RedeliverRange),
  response: {
    ...webhookErrors,
    202: response(Redelivered, { description: 'The deliveries wait again.' }),
    ...unknown,
    ...full,
    ...bodyErrors
  }
} as const

const test = {
  ...webhookRoute,
  operationId: 'testWebhookEndpoint',
  summary: 'Send a test event to a webhook endpoint',
  description: 'Its type is `webhook.test`. Every endpoint receives it, whatever its `events` are.',
  params: EndpointParams,
  response: {
    ...webhookErrors,
    202: response(Delivery, { description: 'The test event waits.' }),
    ...unknown,
    ...full,
    ...bodyErrors
  }
} as const

/** /webhook-endpoints/:id: lists the deliveries to an endpoint, sends them again, and sends test events. */
export default async function webhookDeliveryRoutes(app: App) {
  const { endpoints, log } = app.webhooks
  const config = { scope: 'webhooks' } as const
  const keyed = { ...config, idempotencyKey: true } as const

  app.get(
    '/webhook-endpoints/:id/deliveries',
    { config, schema: list },
    async ({ params: { id }, query, caller }) => {
      await endpoints.read(caller.tenant, id)
      return log.list(id, query)
    }
  )

  app.post(
    '/webhook-endpoints/:id/deliveries/:delivery_id/redeliver',
    { config: keyed, schema: redeliver },
    async ({ params: { id, delivery_id }, caller }, reply) => {
      await endpoints.read(caller.tenant, id)
      return reply.code(202).send(await log.redeliver(id, delivery_id))
    }
  )

  app.post(
    '/webhook-endpoints/:id/redeliver',
    { config: keyed, schema: redeliverRange },
    async ({ params: { id }, body, caller }, reply) => {
      await endpoints.read(caller.tenant, id)
      return reply.code(202).send(await log.redeliverRange(id, body))
    }
  )

  app.post(
    '/webhook-endpoints/:id/test',
    { config: keyed, schema: test },
    async ({ params: { id }, caller }, reply) => reply.code(202).send(await endpoints.test(caller.tenant, id))
  )
}
