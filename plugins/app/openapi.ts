import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { TSchema } from 'typebox'
import packageJson from '../../package.json' with { type: 'json' }
import type { Config } from '../../schema/config/env.ts'
import { Acknowledged, AcknowledgeLoss, Audit } from '../../schema/http/audit.ts'
import { DeadLetter, DeadLetterPage, Dealt, Discard, Redrive } from '../../schema/http/dead-letter.ts'
import { Forgotten } from '../../schema/http/function.ts'
import { Health, Probe } from '../../schema/http/health.ts'
import { Metrics } from '../../schema/http/metrics.ts'
import { NewOrder, Order } from '../../schema/http/order.ts'
import { Problem } from '../../schema/http/problem.ts'
import { publicUrl } from '../../src/http/public-url.ts'

const COMMON = [Problem, Health, Probe, Metrics]
const API = [NewOrder, Order]
const ADMIN = [
  AcknowledgeLoss,
  Acknowledged,
  Audit,
  DeadLetter,
  DeadLetterPage,
  Dealt,
  Discard,
  Redrive,
  Forgotten
]

/** Returns the schemas that the routes of this process refer to. */
function schemasOf({ MODE, ADMIN_TOKEN }: Config) {
  if (MODE === 'worker') return COMMON
  return [...COMMON, ...API, ...(ADMIN_TOKEN === undefined ? [] : ADMIN)]
}

/** Where a request for the page goes on, relative to its URL: the page itself would name the root, or mistake a query. */
function redirectOf(url: string): string | undefined {
  const [path = '', query] = url.split('?', 2)
  if (path.endsWith('/docs/static/index.html')) return '..'
  return query !== undefined && path.endsWith('/docs/') ? '.' : undefined
}

/** The OpenAPI document, from the very schemas that validate, and a page to try the service out. */
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
        license: { name: packageJson.license, identifier: packageJson.license }
      },
      security: [],
      tags: [
        { name: 'orders', description: 'Take in orders and read them.' },
        { name: 'operations', description: 'Health, metrics and this document.' },
        { name: 'admin', description: 'Audit, dead letters and functions; there when ADMIN_TOKEN is set.' }
      ],
      ...(schemas.includes(Audit) && {
        components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } }
      })
    },
    // Relative to where the document is served: a prefix that a proxy strips is in that. The plugin's own option takes no
    // relative one, and takes its path off the routes.
    transformObject: document => ({
      ...('openapiObject' in document && document.openapiObject),
      servers: [{ url: base || '.' }]
    }),
    refResolver: { buildLocalReference: json => String(json.$id) }
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    // Relative as well: from `/docs`, its files are in `./docs`; from there, the service is one up.
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
    // The page styles its elements inline; and over plain HTTP a browser must not be sent to HTTPS for its files.
    transformStaticCSP: header =>
      header
        .replace(/style-src [^;]*/, "style-src 'self' 'unsafe-inline'")
        .replace(/upgrade-insecure-requests;?/, '')
  })
}

export default fp(openapi, { name: 'openapi' })
