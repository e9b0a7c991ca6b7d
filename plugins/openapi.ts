import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { TSchema } from 'typebox'
import packageJson from '../package.json' with { type: 'json' }
import { Audit } from '../schema/audit.ts'
import { DeadLetter, DeadLetterPage, Dealt, Discard, Redrive } from '../schema/dead-letter.ts'
import type { Config } from '../schema/env.ts'
import { Forgotten } from '../schema/function.ts'
import { Health, Probe } from '../schema/health.ts'
import { Metrics } from '../schema/metrics.ts'
import { NewOrder, Order } from '../schema/order.ts'
import { Problem } from '../schema/problem.ts'

const COMMON = [Problem, Health, Probe, Metrics]
const API = [NewOrder, Order]
const ADMIN = [Audit, DeadLetter, DeadLetterPage, Dealt, Discard, Redrive, Forgotten]

/** The schemas that the routes of this process refer to: no others belong into its description. */
function schemasOf({ MODE, ADMIN_TOKEN }: Config) {
  if (MODE === 'worker') return COMMON
  return [...COMMON, ...API, ...(ADMIN_TOKEN === undefined ? [] : ADMIN)]
}

/** The OpenAPI document, from the very schemas that validate, and a page to try the service out. */
async function openapi(app: FastifyInstance) {
  const schemas: TSchema[] = schemasOf(app.config)
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
      servers: [{ url: '/' }],
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
    refResolver: { buildLocalReference: json => String(json.$id) }
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    theme: { title: 'Orderstream' },
    // The page styles its elements inline; and over plain HTTP a browser must not be sent to HTTPS for its files.
    transformStaticCSP: header =>
      header
        .replace(/style-src [^;]*/, "style-src 'self' 'unsafe-inline'")
        .replace(/upgrade-insecure-requests;?/, '')
  })
}

export default fp(openapi, { name: 'openapi' })
