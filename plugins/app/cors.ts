import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

/** Headers of answers that a page may read. */
const EXPOSED = [
  ...['Location', 'Durability', 'Idempotent-Replayed', 'ETag', 'Link', 'X-Cache', 'X-Request-Id'],
  ...['Preference-Applied', 'RateLimit', 'RateLimit-Policy', 'Retry-After', 'WWW-Authenticate']
]

/** How long a browser may remember what is allowed (s). */
const MAX_AGE = 600

/** Lets web pages of CORS_ORIGINS call the API from a browser. Does nothing without origins. */
async function allowOrigins(app: FastifyInstance) {
  const origins = app.config.CORS_ORIGINS
  if (origins === '') return
  await app.register(cors, {
    origin: origins === '*' ? '*' : origins.split(',').map(origin => origin.trim()),
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders: EXPOSED,
    // Without a list of allowed headers, a preflight allows those that it names.
    maxAge: MAX_AGE,
    strictPreflight: false
  })
}

// Before `auth`: a preflight has no credentials.
export default fp(allowOrigins, { name: 'cors', dependencies: ['security'] })
