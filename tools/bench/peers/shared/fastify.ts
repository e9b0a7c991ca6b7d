import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import fastify from 'fastify'
import { buildValidator } from '../../../../src/http/validation.ts'

/**
 * Creates Fastify with the validators of the service and without a logger. Fastify's default compiler does not know the
 * format `amount`.
 */
export function createServer() {
  const app = fastify({
    logger: false,
    bodyLimit: 16_384,
    schemaController: { compilersFactory: { buildValidator } }
  }).withTypeProvider<TypeBoxTypeProvider>()
  app.get('/health/ready', async () => ({ status: 'ok' }))
  return app
}
