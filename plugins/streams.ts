import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { TSchema } from 'typebox'
import { type Consumer, createConsumer } from '../src/streams/consumer.ts'
import type { StreamFunction } from '../src/streams/function.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Registers a function that a stream triggers; it begins to consume when the app is ready. */
    consume: <Schema extends TSchema>(definition: StreamFunction<Schema>) => void
  }
}

/** `app.consume` is to streams what `app.post` is to HTTP. */
async function streams(app: FastifyInstance) {
  const { config, keys, redis, mysql, metrics } = app
  const consumers: Consumer[] = []
  // Unique over hosts and restarts: a new process must never answer to the name, and so own the messages, of a dead one.
  const name = `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`

  app.decorate('consume', <Schema extends TSchema>(definition: StreamFunction<Schema>) => {
    for (let partition = 0; partition < keys.partitions; partition++) {
      const log = app.log.child({ function: definition.name, ...(keys.partitions > 1 && { partition }) })
      consumers.push(
        createConsumer({
          definition: definition as unknown as StreamFunction,
          stream: keys.stream(definition.stream, partition),
          consumer: name,
          redis,
          stores: { redis: redis.availability, mysql: mysql.availability },
          lease: config.LEASE_MS,
          log,
          onBatch: outcome => metrics.batch(definition.name, outcome)
        })
      )
    }
  })
  app.addHook('onReady', async () => {
    for (const consumer of consumers) consumer.start()
  })
  app.addHook('onClose', () => Promise.all(consumers.map(consumer => consumer.stop())))
}

export default fp(streams, { name: 'streams', dependencies: ['redis', 'mysql', 'metrics'] })
