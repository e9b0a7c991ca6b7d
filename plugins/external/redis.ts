import fastifyRedis from '@fastify/redis'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

/**
 * Adds `app.redis`, the ioredis client that @fastify/redis documents. It is the client of `app.stores.redis`, which also
 * closes it. Its commands fail with error classes of src/stores/errors.ts.
 */
function redis(app: FastifyInstance, _options: object, done: (error?: Error) => void) {
  const { client } = app.stores.redis
  const { status } = client
  // The plugin checks the status once and waits for a connection. This service must also start without Redis.
  client.status = 'ready'
  try {
    fastifyRedis(app, { client, closeClient: false }, done)
  } finally {
    client.status = status
  }
}

export default fp(redis, { name: '@fastify/redis', fastify: '5.x', dependencies: ['stores'] })
