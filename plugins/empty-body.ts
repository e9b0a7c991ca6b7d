import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

/**
 * A request without a body has no content type either. One that names a type would have a parser wait forever for the end
 * of a body that Node.js ended before anybody listened (`optimizeEmptyRequests`).
 */
async function emptyBody(app: FastifyInstance) {
  app.addHook('onRequest', ({ raw }, _reply, done) => {
    if (raw.readableEnded && raw.headers['content-type'] !== undefined) delete raw.headers['content-type']
    done()
  })
}

export default fp(emptyBody, { name: 'empty-body' })
