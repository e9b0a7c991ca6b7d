import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { traceparent } from '../../src/http/request-context.ts'
import { PLACED } from '../../src/orders/names.ts'
import { EVENTS } from '../../src/streams/names.ts'
import { createPublish, type Origin, type PublishOptions } from '../../src/streams/publish.ts'

/** The same as `PublishOptions`. `origin` is the request or the message that causes the new message. */
export interface AppPublishOptions extends Omit<PublishOptions, 'origin'> {
  origin?: FastifyRequest | Origin
}

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Publishes a message to a queue; a function on that queue handles it. Returns the message's id, which is unique in
     * its partition.
     * @throws {PublishRefused} for an invalid stream, version or body, and for a message above 8 MiB.
     * @throws {StoreUnavailable} when Redis does not confirm the message. It may have been appended.
     */
    publish: (stream: string, body: unknown, options?: AppPublishOptions) => Promise<string>
  }
}

/** Adds `app.publish`. It sends the messages that `app.consume` receives. */
async function publish(app: FastifyInstance) {
  const send = createPublish(app.stores.redis, app.keys, [EVENTS, PLACED])
  app.decorate('publish', (stream: string, body: unknown, { origin, ...options }: AppPublishOptions = {}) =>
    send(stream, body, { ...options, ...(origin && { origin: originOf(origin) }) })
  )
}

function originOf(origin: FastifyRequest | Origin): Origin {
  if (!('raw' in origin)) return origin
  return { requestId: origin.id, traceparent: traceparent(origin) }
}

export default fp(publish, { name: 'publish', dependencies: ['stores'] })
