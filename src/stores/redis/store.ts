import { isIP } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'
import { type Command, Redis, type RedisOptions } from 'ioredis'
import type { Config } from '../../../schema/config/env.ts'
import { Availability } from '../availability.ts'
import { fromRedis } from '../driver-errors.ts'
import { ReadOnlyReplica, StoreUnavailable } from '../errors.ts'
import { type RedisFacts, readFacts } from './facts.ts'

/** How much longer than its BLOCK a blocking read may take before the connection counts as dead (ms). */
const BLOCK_GRACE = 2000

/**
 * How long the shared connection may be silent after a call before it counts as dead (ms): one whose other end is gone
 * without a word would stay open for a quarter of an hour, and longer behind a middlebox that still answers for it.
 */
const SILENCE = 5000

/** Shortest and longest time that a connection is kept to a server that stays a replica (ms). */
const SHORTEST_STAY = 1000
const LONGEST_STAY = 30_000

export interface RedisStore {
  client: Redis
  availability: Availability
  /** What the server was last seen to guarantee. */
  facts: () => RedisFacts
  /** Runs commands through the breaker. What `work` throws that is not an error of a command passes through as it is. */
  run: <T>(work: (client: Redis) => Promise<T>) => Promise<T>
  /**
   * A connection of its own for blocking reads: on a shared one every other command would wait behind them.
   * `block` is the longest BLOCK in milliseconds; a socket that is silent for clearly longer is given up.
   */
  blockingConnection: (block: number) => Redis
  start: () => Promise<void>
  close: () => Promise<void>
}

function connectionOptions(config: Config, more: RedisOptions): RedisOptions & { replyMapping: 'legacy' } {
  return {
    host: config.REDIS_HOST,
    port: config.REDIS_PORT,
    ...(config.REDIS_USERNAME !== '' && { username: config.REDIS_USERNAME }),
    ...(config.REDIS_PASSWORD !== '' && { password: config.REDIS_PASSWORD }),
    // The certificate has to name the host. An address is looked for in it as well, but TLS has no way to ask for one.
    ...(config.REDIS_TLS && { tls: isIP(config.REDIS_HOST) ? {} : { servername: config.REDIS_HOST } }),
    lazyConnect: true,
    // A probe asks what is needed. The driver would ask for INFO, which a user may not see, and say so beside the log.
    enableReadyCheck: false,
    connectTimeout: config.STORE_TIMEOUT_MS,
    // A call that was given up on must not happen later: nothing is queued while offline, nothing is sent twice.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // What a closed connection leaves unanswered fails at once: unsent again and not rejected, it would wait forever.
    maxRetriesPerRequest: 0,
    retryStrategy: attempt => Math.min(50 * 2 ** Math.min(attempt, 10), 1000),
    reconnectOnError: leaveReplica(),
    ...more,
    replyMapping: 'legacy'
  }
}

/**
 * Says whether an error that came over a connection is a reason to make it anew; the command that failed is not sent
 * again. A server that a failover has made a replica keeps its sockets open, and only a new connection finds the one
 * that took its place. Where that is a replica still, it is left less and less often, since reads fail meanwhile.
 */
function leaveReplica(): (error: Error) => boolean {
  let stay = 0
  let left = Number.NEGATIVE_INFINITY
  return error => {
    if (!(fromRedis(error) instanceof ReadOnlyReplica)) return false
    const stayed = performance.now() - left
    if (stayed < stay) return false
    stay = stayed > 2 * LONGEST_STAY ? SHORTEST_STAY : Math.min(stay * 2, LONGEST_STAY)
    left = performance.now()
    return true
  }
}

/**
 * A connection whose commands fail with errors as classes. They are mapped here and nowhere else: an error that a caller
 * throws between two commands is none of Redis.
 */
class Connection extends Redis {
  override sendCommand(command: Command, stream?: Parameters<Redis['sendCommand']>[1]): unknown {
    const { reject } = command
    command.reject = error => reject(fromRedis(error))
    return super.sendCommand(command, stream)
  }

  override duplicate(override: Partial<RedisOptions> = {}): Redis {
    return new Connection({ ...this.options, ...override } as RedisOptions & { replyMapping: 'legacy' })
  }
}

/**
 * The Redis of this process: one shared connection behind a breaker.
 * `check` is what a probe asks of it: it reads a key, and throws when this Redis must not be used (see the partition
 * count).
 */
export function createRedisStore(
  config: Config,
  log: FastifyBaseLogger,
  check: (client: Redis) => Promise<void>
): RedisStore {
  const timeout = config.STORE_TIMEOUT_MS
  const client = new Connection(
    connectionOptions(config, { commandTimeout: timeout, socketTimeout: Math.max(SILENCE, 2 * timeout) })
  )
  // A probe logs them once; what a command that has no connection fails with does not say why there is none.
  let broken: Error | undefined
  client.on('error', error => {
    broken = error
  })
  client.on('ready', () => {
    broken = undefined
  })
  const blocking = new Set<Redis>()
  let facts: RedisFacts = { durability: 'memory', evicts: false }

  const availability = new Availability({
    store: 'redis',
    log,
    timeout,
    probe: async () => {
      if (client.status === 'wait' || client.status === 'end')
        await client.connect().catch(error => reportAsRedis(broken ?? error))
      if (client.status !== 'ready')
        reportAsRedis(
          broken ??
            new Error(`the connection to ${config.REDIS_HOST}:${config.REDIS_PORT} is ${client.status}`)
        )
      await requireFlags(client)
      // No PING: a server that cannot save refuses that like a write, and still answers reads.
      await check(client).catch(reportAsRedis)
      facts = await readFacts(client).catch(reportAsRedis)
    }
  })

  return {
    client,
    availability,
    facts: () => facts,
    run: work => availability.run(() => work(client)),
    blockingConnection: block => {
      const connection = new Connection(connectionOptions(config, { socketTimeout: block + BLOCK_GRACE }))
      connection.on('error', () => {})
      connection.on('end', () => blocking.delete(connection))
      blocking.add(connection)
      return connection
    },
    start: () => availability.start(),
    close: async () => {
      await availability.stop()
      for (const connection of [client, ...blocking]) connection.disconnect()
    }
  }
}

/**
 * Every script states what it may do in flags, which an older server takes for a mistake in the script.
 * @throws {StoreUnavailable} when this server knows none.
 */
async function requireFlags(client: Redis): Promise<void> {
  try {
    await client.eval('#!lua flags=no-writes,allow-oom\nreturn 1', 0)
  } catch (error) {
    const known = fromRedis(error)
    if (known instanceof StoreUnavailable) throw known
    throw new StoreUnavailable(
      'redis',
      new Error('it is older than 7.0, or runs no scripts', { cause: known })
    )
  }
}

function reportAsRedis(error: unknown): never {
  throw fromRedis(error)
}
