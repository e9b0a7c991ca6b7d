import { bodyErrors } from '../../schema/http/admin.ts'
import { ref } from '../../schema/http/ref.ts'
import { problem, response, retryable } from '../../schema/http/response.ts'
import {
  EndpointParams,
  IssuedWebhookEndpoint,
  NewWebhookEndpoint,
  RotateSecretQuery,
  WebhookEndpoint,
  WebhookEndpointChange,
  WebhookEndpointList
} from '../../schema/http/webhook.ts'
import { webhookErrors, webhookRoute } from '../../schema/http/webhook-route.ts'
import type { App } from '../../src/app.ts'
import { publicUrl } from '../../src/http/public-url.ts'

const unknown = { 404: problem('There is no such endpoint.') }

const create = {
  ...webhookRoute,
  operationId: 'createWebhookEndpoint',
  summary: 'Create a webhook endpoint',
  description:
    'The endpoint receives every event that happens after this answer. Only this answer and a rotation show the secret.',
  body: ref(NewWebhookEndpoint),
  response: {
    ...webhookErrors,
    201: response(IssuedWebhookEndpoint, {
      description: 'The endpoint is created.',
      headers: { Location: 'The URL of the endpoint.' }
    }),
    400: problem('The request is not valid, or webhooks cannot be sent to that URL.'),
    409: problem('The tenant has too many endpoints.'),
    503: retryable('The DNS or a store is unavailable: a new endpoint needs both stores. Try again.'),
    ...bodyErrors
  }
} as const

const list = {
  ...webhookRoute,
  operationId: 'listWebhookEndpoints',
  summary: 'List the webhook endpoints',
  response: {
    ...webhookErrors,
    200: response(WebhookEndpointList, { description: 'All endpoints of the tenant.' })
  }
} as const

const get = {
  ...webhookRoute,
  operationId: 'getWebhookEndpoint',
  summary: 'Read a webhook endpoint',
  params: EndpointParams,
  response: { ...webhookErrors, 200: response(WebhookEndpoint, { description: 'The endpoint.' }), ...unknown }
} as const

const change = {
  ...webhookRoute,
  operationId: 'changeWebhookEndpoint',
  summary: 'Change a webhook endpoint',
  description: 'What the body does not name stays.',
  params: EndpointParams,
  body: ref(WebhookEndpointChange),
  response: {
    ...webhookErrors,
    200: response(WebhookEndpoint, { description: 'The endpoint as it is now.' }),
    400: problem('The request is not valid, or webhooks cannot be sent to that URL.'),
    503: retryable('The DNS or MySQL is unavailable. Try again.'),
    ...unknown,
    ...bodyErrors
  }
} as const

const rotate = {
  ...webhookRoute,
  operationId: 'rotateWebhookSecret',
  summary: 'Replace the secret of a webhook endpoint',
  description:
    'Until the secret before has ended, each request has a signature of both. A secret older than that ends at once.',
  params: EndpointParams,
  querystring: RotateSecretQuery,
  response: {
    ...webhookErrors,
    200: response(IssuedWebhookEndpoint, { description: 'The new secret signs.' }),
    ...unknown,
    ...bodyErrors
  }
} as const

const remove = {
  ...webhookRoute,
  operationId: 'deleteWebhookEndpoint',
  summary: 'Delete a webhook endpoint',
  description: 'Its log is deleted, too. An attempt in flight may still arrive.',
  params: EndpointParams,
  response: {
    ...webhookErrors,
    200: response(WebhookEndpoint, { description: 'The endpoint as it was.' }),
    ...unknown,
    ...bodyErrors
  }
} as const

/** /webhook-endpoints: creates, lists, changes and deletes the webhook endpoints of the caller's tenant. */
export default async function webhookEndpointRoutes(app: App) {
  const { endpoints } = app.webhooks
  const config = { scope: 'webhooks' } as const
  const issues = { ...config, idempotencyKey: { without: ['secret'] } } as const
  const url = `${publicUrl(app.config)}/webhook-endpoints`

  app.post('/webhook-endpoints', { config: issues, schema: create }, async ({ body, caller, log }, reply) => {
    const made = await endpoints.create(caller.tenant, body)
    log.info({ endpoint: made.id }, 'webhook endpoint created')
    return reply.code(201).header('location', `${url}/${made.id}`).send(made)
  })

  app.get('/webhook-endpoints', { config, schema: list }, async ({ caller }) => ({
    endpoints: await endpoints.list(caller.tenant)
  }))

  app.get('/webhook-endpoints/:id', { config, schema: get }, ({ params, caller }) =>
    endpoints.read(caller.tenant, params.id)
  )

  app.patch('/webhook-endpoints/:id', { config, schema: change }, ({ params, body, caller }) =>
    endpoints.change(caller.tenant, params.id, body)
  )

  app.post(
    '/webhook-endpoints/:id/rotate',
    { config: issues, schema: rotate },
    async ({ params, query, caller, log }) => {
      const rotated = await endpoints.rotate(caller.tenant, params.id, query.keep_seconds * 1000)
      log.info({ endpoint: params.id }, 'webhook secret rotated')
      return rotated
    }
  )

  app.delete('/webhook-endpoints/:id', { config, schema: remove }, async ({ params, caller, log }) => {
    const removed = await endpoints.read(caller.tenant, params.id)
    await endpoints.remove(caller.tenant, params.id)
    log.info({ endpoint: params.id }, 'webhook endpoint deleted')
    return removed
  })
}
