import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { TSchema } from 'typebox'
import packageJson from '../../package.json' with { type: 'json' }
import type { Config } from '../../schema/config/env.ts'
import { AdminAction, AdminActionPage } from '../../schema/http/admin-action.ts'
import { Acknowledged, AcknowledgeLoss, Audit } from '../../schema/http/audit.ts'
import { DeadLetter, DeadLetterPage, Dealt, Discard, Redrive } from '../../schema/http/dead-letter.ts'
import { Forgotten } from '../../schema/http/function.ts'
import { Health, Probe } from '../../schema/http/health.ts'
import { ApiKey, IssuedKey, KeyPage, NewKey, RevokedKey } from '../../schema/http/key.ts'
import { Metrics } from '../../schema/http/metrics.ts'
import { NewOrder, Order } from '../../schema/http/order.ts'
import { OrderResult } from '../../schema/http/order-batch.ts'
import { EventStreamText } from '../../schema/http/order-events.ts'
import { OrderList } from '../../schema/http/order-list.ts'
import { OrderTimeline } from '../../schema/http/order-timeline.ts'
import { Problem } from '../../schema/http/problem.ts'
import { RedisRelease } from '../../schema/http/redis-release.ts'
import { NewTaxRate, TaxRate, TaxRates } from '../../schema/http/tax-rate.ts'
import {
  Delivery,
  DeliveryPage,
  IssuedWebhookEndpoint,
  NewWebhookEndpoint,
  Redelivered,
  RedeliverRange,
  WebhookEndpoint,
  WebhookEndpointChange,
  WebhookEndpointList
} from '../../schema/http/webhook.ts'
import { servesAdmin } from '../../src/auth/authenticate.ts'
import { publicUrl } from '../../src/http/public-url.ts'

const COMMON = [Problem, Health, Probe, Metrics]
const API = [
  EventStreamText,
  NewOrder,
  Order,
  OrderResult,
  OrderList,
  OrderTimeline,
  NewWebhookEndpoint,
  WebhookEndpoint,
  WebhookEndpointChange,
  WebhookEndpointList,
  IssuedWebhookEndpoint,
  Delivery,
  DeliveryPage,
  RedeliverRange,
  Redelivered
]
const ADMIN = [
  AcknowledgeLoss,
  Acknowledged,
  Audit,
  DeadLetter,
  DeadLetterPage,
  Dealt,
  Discard,
  Redrive,
  Forgotten,
  RedisRelease,
  NewTaxRate,
  TaxRate,
  TaxRates,
  NewKey,
  ApiKey,
  IssuedKey,
  KeyPage,
  RevokedKey,
  AdminAction,
  AdminActionPage
]

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Headers that the OpenAPI document describes, and that no schema validates. */
    headers?: TSchema
  }
}

/** Returns the schemas that the routes of this process refer to. */
function schemasOf(config: Config) {
  if (config.MODE === 'worker') return COMMON
  return [...COMMON, ...API, ...(servesAdmin(config) ? ADMIN : [])]
}

/**
 * Returns the relative redirect for a URL of the page. Returns undefined when the URL needs no redirect. The page
 * itself would redirect wrongly.
 */
function redirectOf(url: string): string | undefined {
  const [path = '', query] = url.split('?', 2)
  if (path.endsWith('/docs/static/index.html')) return '..'
  return query !== undefined && path.endsWith('/docs/') ? '.' : undefined
}

/** Makes the OpenAPI document from the schemas that validate, and serves a page to try the service. */
async function openapi(app: FastifyInstance) {
  const schemas: TSchema[] = schemasOf(app.config)
  const base = publicUrl(app.config)
  for (const schema of schemas) app.addSchema(schema)

  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Orderstream',
        description: packageJson.description,
        version: packageJson.version,
        contact: { name: 'The operators of this service' },
        license: { name: packageJson.license, identifier: packageJson.license }
      },
      security: [],
      tags: [
        { name: 'orders', description: 'Accept and read orders.' },
        { name: 'webhooks', description: 'Receive the events of orders by HTTP.' },
        { name: 'operations', description: 'Health, metrics and this document.' },
        {
          name: 'admin',
          description:
            'Audit, dead letters, functions, tax rates and API keys. These routes need ADMIN_TOKEN, or a key with an admin scope.'
        }
      ],
      ...(app.config.MODE === 'api' && {
        components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } }
      })
    },
    transform: ({ schema, url, route }) => {
      const { headers } = route.config ?? {}
      return { schema: headers ? { ...schema, headers } : schema, url }
    },
    // Relative to the URL of the document, which includes a prefix that a proxy removes. The option of the plugin does
    // not support a relative URL, and removes its path from the routes.
    transformObject: document => ({
      ...('openapiObject' in document && document.openapiObject),
      servers: [{ url: base || '.' }]
    }),
    refResolver: { buildLocalReference: json => String(json.$id) }
  })
  await app.register(async docs => {
    docs.addHook('onRoute', route => {
      route.config = { ...route.config, scope: 'none' }
    })
    await docs.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: true,
      // Also relative. From `/docs`, the files are in `./docs`. From the files, the service is in `..`.
      indexPrefix: '.',
      uiHooks: {
        onRequest: (request, reply, done) => {
          const target = redirectOf(request.url)
          if (target === undefined) done()
          else reply.redirect(target)
        }
      },
      ...(base === '' && { transformSpecification: document => ({ ...document, servers: [{ url: '..' }] }) }),
      theme: { title: 'Orderstream' },
      // The page has inline styles. Over plain HTTP a browser must not upgrade the requests for its files to HTTPS.
      transformStaticCSP: header =>
        header
          .replace(/style-src [^;]*/, "style-src 'self' 'unsafe-inline'")
          .replace(/upgrade-insecure-requests;?/, '')
    })
  })
}

export default fp(openapi, { name: 'openapi' })
