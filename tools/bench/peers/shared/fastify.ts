import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import fastify from 'fastify'
import { buildValidator } from '../../../../src/http/validation.ts'

/**
 * Fastify with our validators and without a logger. Its default compiler cannot compile the schemas: it does not know
 * the format `amount`.
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
