import { isIP } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'
import { type Command, Redis, type RedisOptions } from 'ioredis'
import type { Config } from '../../../schema/config/env.ts'
import { Availability } from '../availability.ts'
import { fromRedis } from '../driver-errors.ts'
import { ReadOnlyReplica, StoreUnavailable } from '../errors.ts'
import { type RedisFacts, readFacts } from './facts.ts'

/** The extra time beyond BLOCK after which the connection of a blocking read is closed (ms). */
const BLOCK_GRACE = 2000

/**
 * The longest time without an answer on the common connection after a call (ms). Then the connection is closed. Without
 * a limit, a connection to a stopped server stays open for a quarter of an hour, and longer behind a middlebox that
 * answers for the server.
 */
const SILENCE = 5000

/** The shortest and the longest time for which a connection to a replica is kept (ms). */
const SHORTEST_STAY = 1000
const LONGEST_STAY = 30_000

/** The Redis of this process behind its circuit breaker. */
export interface RedisStore {
  /** The common connection, without the circuit breaker. */
  client: Redis
  availability: Availability
  /** Returns what the server guarantees, as the last probe found. */
  facts: () => RedisFacts
  /** Runs commands through the circuit breaker. Other errors of `work` stay unchanged. */
  run: <T>(work: (client: Redis) => Promise<T>) => Promise<T>
  /**
   * Opens a connection for blocking reads, because every command on the common connection would wait behind them.
   * `block` is the longest BLOCK in milliseconds. The connection closes when no data comes for longer than that and
   * some extra time.
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
    // The certificate must contain the name of the host. TLS can request a name, but not an address.
    ...(config.REDIS_TLS && { tls: isIP(config.REDIS_HOST) ? {} : { servername: config.REDIS_HOST } }),
    lazyConnect: true,
    // The driver's check needs INFO, which a user may not be allowed to call. The check also does not use this
    // service's log. A probe checks instead.
    enableReadyCheck: false,
    connectTimeout: config.STORE_TIMEOUT_MS,
    // A call that timed out must not run later. So nothing is queued while offline, and nothing is sent twice.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // When a connection closes, its calls without an answer fail at once. Otherwise they would wait forever.
    maxRetriesPerRequest: 0,
    retryStrategy: attempt => Math.min(50 * 2 ** Math.min(attempt, 10), 1000),
    reconnectOnError: leaveReplica(),
    ...more,
    replyMapping: 'legacy'
  }
}

/**
 * Decides whether an error is a reason to connect again. The failed command is not sent again. After a failover, the
 * old primary is a replica with open sockets, and only a new connection finds the new primary. When the new connection
 * reaches a replica again, the next pause is longer, because reads fail during a reconnect.
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
 * A connection whose commands fail with classes of errors.ts. Errors are mapped only here, because an error that a
 * caller throws between two commands does not come from Redis.
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
 * Opens the Redis of this process: one common connection behind a circuit breaker. A probe calls `check`, which reads a
 * key and throws when this Redis must not be used.
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
  // The probe reports this reason. A command without a connection fails without a reason.
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
      // The probe does not use PING. A server that cannot save refuses PING as it refuses writes, but still answers
      // reads.
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
 * Checks that the server supports the flags at the start of every script.
 * @throws {StoreUnavailable} when it does not.
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
