import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { TSchema } from 'typebox'
import { withDeadline } from '../../src/async/deadline.ts'
import { SERVICE_FUNCTIONS } from '../../src/orders/service-function.ts'
import { checkFunction } from '../../src/streams/check-function.ts'
import { type Consumer, type ConsumerOptions, createConsumer } from '../../src/streams/consume/consumer.ts'
import { createSuspects } from '../../src/streams/consume/suspects.ts'
import { createDeadLetters, type DeadLetters } from '../../src/streams/dead-letters/dead-letters.ts'
import { type ResolvedFunction, resolveFunction, type StreamFunction } from '../../src/streams/function.ts'
import { createStarts, type Starts } from '../../src/streams/group/starts.ts'
import { LOGS } from '../../src/streams/names.ts'
import { runMaintenance } from '../../src/streams/operate/maintenance.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Registers a function that a stream triggers. It begins to consume when the app is ready.
     * @throws {FunctionRefused} when its settings are invalid, or it would take the messages of another function.
     */
    consume: <Schema extends TSchema>(definition: StreamFunction<Schema>) => void
    /**
     * Registers a function that the service does not need yet. Returns a function that begins it. Until then no group
     * exists for it. Call it after the app is ready.
     * @throws {FunctionRefused} as `consume` does.
     */
    consumeLater: <Schema extends TSchema>(definition: StreamFunction<Schema>) => () => void
    streams: {
      consumers: readonly Consumer[]
      /**
       * Returns, by the name of each function of this process, the reason why it is paused, such as the store for which
       * it waits. The value is undefined while the function runs in all its partitions.
       */
      paused: () => ReadonlyMap<string, string | undefined>
      deadLetters: DeadLetters
      starts: Starts
    }
  }
}

/** The time between attempts to record in MySQL the groups that were found while MySQL was unavailable (ms). */
const RECORD_EVERY = 5000

/** The function that owns each stream of the service. */
const OWNERS = new Map(SERVICE_FUNCTIONS.map(({ stream, name }) => [stream, name]))

/** The longest time that a start waits until functions on logs begin (ms). Fastify stops a start after 10 s. */
const BEGIN_WAIT = 5000

/** Adds `app.consume`, which handles messages as `app.post` handles requests. */
async function streams(app: FastifyInstance) {
  const { config, keys, metrics, processes } = app
  const { redis, orders: mysql } = app.stores
  const consumers: Consumer[] = []
  const functions: ResolvedFunction[] = []
  const suspects = createSuspects()
  const starts = createStarts(redis, mysql, keys)

  app.decorate('streams', {
    consumers,
    paused: () => pausedOf(consumers),
    deadLetters: createDeadLetters({
      redis,
      keys,
      serviceFunctions: SERVICE_FUNCTIONS,
      onCorrupt: () => metrics.corrupt('dead_letter')
    }),
    starts
  })
  /** Returns a function that creates the consumers of a function. */
  const register = <Schema extends TSchema>(given: StreamFunction<Schema>) => {
    const definition = resolveFunction(given as unknown as StreamFunction)
    checkFunction(given, definition, functions, OWNERS)
    functions.push(definition)
    return () => {
      const isOnLog = LOGS.includes(definition.stream)
      processes.runs(definition)
      const own = Array.from({ length: keys.partitions }, (_, partition) => {
        const begin = isOnLog ? () => starts.begin(definition, partition) : undefined
        return createConsumer(consumerOptions(app, definition, { partition, begin, suspects }))
      })
      consumers.push(...own)
      return own
    }
  }
  app.decorate('consume', given => void register(given)())
  app.decorate('consumeLater', given => {
    const create = register(given)
    return () => {
      if (app.lifecycle.draining) return
      for (const consumer of create()) consumer.start()
    }
  })
  if (config.MODE === 'worker') {
    app.repeat({
      name: 'streams',
      every: config.LEASE_MS / 2,
      run: () => runMaintenance(redis, keys, consumers)
    })
    app.repeat({ name: 'starts', every: RECORD_EVERY, run: starts.recordLate })
  }
  app.addHook('onReady', async () => {
    await beginAll(starts, consumers)
    for (const consumer of consumers) consumer.start()
  })
  app.lifecycle.onDrain(async () => {
    await Promise.all(consumers.map(consumer => consumer.stop()))
    await processes.leave().catch(() => {})
  })
}

/** Returns the options of the consumer of one function and partition. */
function consumerOptions(
  app: FastifyInstance,
  definition: ResolvedFunction,
  own: Pick<ConsumerOptions, 'partition' | 'begin' | 'suspects'>
): ConsumerOptions {
  const { config, keys, metrics, processes } = app
  const { redis, orders: mysql } = app.stores
  const { name } = definition
  const log = app.log.child({ function: name, ...(keys.partitions > 1 && { partition: own.partition }) })
  return {
    ...own,
    definition,
    keys,
    consumer: app.processName,
    redis,
    stores: { redis: redis.masterOf(own.partition).availability, mysql: mysql.availability },
    lease: config.LEASE_MS,
    processes,
    patience: app.lifecycle.patience,
    log,
    onBatch: (tally, seconds) => metrics.batch(name, tally, seconds),
    onUnknownVersion: version => metrics.unknownVersion(name, version),
    onStuck: error => {
      log.fatal({ err: error }, 'function is stuck: the process restarts')
      app.lifecycle.fail(error)
    }
  }
}

/**
 * Begins all functions on logs, so that a ready process misses no event. While a store is unavailable or slow, a
 * function begins later, when its consumer joins.
 */
async function beginAll(starts: Starts, consumers: readonly Consumer[]): Promise<void> {
  const functions = new Set(consumers.map(({ definition }) => definition))
  const onLogs = [...functions].filter(({ stream }) => LOGS.includes(stream))
  const begun: Promise<unknown> = Promise.all(
    // This begins in all partitions. An error of one of them does not matter here.
    onLogs.map(each => starts.begin(each, 0).catch(() => {}))
  )
  await withDeadline(begun, { after: BEGIN_WAIT, late: () => {} })
}

function pausedOf(consumers: Consumer[]): Map<string, string | undefined> {
  const paused = new Map<string, string | undefined>()
  for (const { definition, pausedBy } of consumers)
    paused.set(definition.name, paused.get(definition.name) ?? pausedBy())
  return paused
}

export default fp(streams, {
  name: 'streams',
  dependencies: ['stores', 'metrics', 'processes', 'background', 'lifecycle']
})
