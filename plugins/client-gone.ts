import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { facts } from '../src/log/request-log.ts'

/**
 * Logs requests whose client went away before its answer was out, which no hook of Fastify is told of: what such a
 * request did, an order accepted perhaps, it did.
 */
async function clientGone(app: FastifyInstance) {
  // By connection, since a listener for each request would cost each request.
  const latest = new WeakMap<Socket, { request: FastifyRequest; reply: FastifyReply }>()
  app.addHook('onRequest', (request, reply, done) => {
    const { socket } = request.raw
    if (!latest.has(socket)) {
      socket.once('close', () => {
        const last = latest.get(socket)
        if (last && !last.reply.raw.writableFinished)
          app.log.info(facts(last.request, last.reply), 'client gone before its answer')
      })
    }
    latest.set(socket, { request, reply })
    done()
  })
}

export default fp(clientGone, { name: 'client-gone' })
