import type { FastifyBaseLogger } from 'fastify'
import type { Redis, RedisOptions } from 'ioredis'
import type { Config } from '../../../schema/config/env.ts'
import { Availability, type StoreState } from '../availability.ts'
import { fromRedis } from '../driver-errors.ts'
import { StoreUnavailable } from '../errors.ts'
import type { Address } from './address.ts'
import { createRedisClock } from './clock.ts'
import { createConnection } from './connection.ts'
import { NO_FACTS, type RedisFacts, readFacts } from './facts.ts'
import { createReplication, type Replicated } from './replication.ts'
import type { RedisServer } from './server.ts'

/** The extra time beyond BLOCK after which the connection of a blocking read is closed (ms). */
const BLOCK_GRACE = 2000

/**
 * The longest time without an answer on the common connection after a call (ms). Then the connection is closed. Without
 * a limit, a connection to a stopped server stays open for a quarter of an hour, and longer behind a middlebox that
 * answers for the server.
 */
const SILENCE = 5000

/** The Redis server that accepts the writes of a partition, behind a circuit breaker of its own. */
export interface RedisMaster {
  /** The common connection, without the circuit breaker. */
  readonly client: Redis
  availability: StoreState
  /** Returns what the server guarantees, as the last probe found. */
  facts: () => RedisFacts
  /** Runs commands through the circuit breaker. Other errors of `work` stay unchanged. */
  run: <T>(work: (client: Redis, server: RedisServer) => Promise<T>) => Promise<T>
  /**
   * Runs commands that write through the circuit breaker, and waits until REDIS_MIN_REPLICAS replicas have the writes.
   * Without enough replicas in time, the result is not `replicated`.
   */
  replicate: <T>(work: (client: Redis, server: RedisServer) => Promise<T>) => Promise<Replicated<T>>
  /**
   * Opens a connection for blocking reads, because every command on the common connection would wait behind them.
   * `block` is the longest BLOCK in milliseconds. The connection closes when no data comes for longer than that and
   * some extra time. It does not connect again by itself.
   */
  blockingConnection: (block: number) => Redis
}

/** A server that this process has opened. */
export interface OpenMaster extends RedisMaster {
  availability: Availability
  start: () => Promise<void>
  close: () => Promise<void>
}

/** The dependencies of a master. */
export interface MasterOptions {
  config: Config
  log: FastifyBaseLogger
  address: Address
  /** Each probe calls it. It reads a key of this server, and throws when this Redis must not be used. */
  check: (client: Redis) => Promise<void>
}

/** Opens a master: one common connection behind a circuit breaker. */
export function createRedisMaster({ config, log, address, check }: MasterOptions): OpenMaster {
  const timeout = config.STORE_TIMEOUT_MS
  const replicas = config.REDIS_MIN_REPLICAS
  const open = (options: RedisOptions) => createConnection(config, address, options)
  const common = { commandTimeout: timeout, socketTimeout: Math.max(SILENCE, 2 * timeout) }
  const client = open(common)
  // The probe reports this reason. A command without a connection fails without a reason.
  let broken: Error | undefined
  client.on('error', error => {
    broken = error
  })
  client.on('ready', () => {
    broken = undefined
  })
  const blocking = createBlocking(open)
  let facts: RedisFacts = NO_FACTS
  const clock = createRedisClock()
  const server: RedisServer = { clock, facts: () => facts }
  const writer = open(common)
  writer.on('error', () => {})
  // The next connection may reach another server.
  const forget = () => {
    clock.forget()
    facts = NO_FACTS
  }
  client.on('close', forget)
  writer.on('close', forget)
  const wait = config.REDIS_REPLICA_WAIT_MS
  const replication = createReplication({ connection: writer, server, replicas, wait })

  const availability = new Availability({
    store: 'redis',
    log,
    timeout,
    probe: async () => {
      if (client.status === 'wait' || client.status === 'end')
        await client.connect().catch(error => reportAsRedis(broken ?? error))
      if (client.status !== 'ready')
        reportAsRedis(broken ?? new Error(`the connection to ${address} is ${client.status}`))
      if (replicas > 0) await probeWriter(writer)
      await requireFlags(client)
      // The probe does not use PING. A server that cannot save refuses PING as it refuses writes, but still answers
      // reads.
      await check(client).catch(reportAsRedis)
      facts = await readFacts(replicas > 0 ? writer : client).catch(reportAsRedis)
    }
  })

  return {
    client,
    availability,
    facts: server.facts,
    run: work => availability.run(() => work(client, server)),
    replicate: work => availability.run(() => replication.run(work)),
    blockingConnection: blocking.open,
    start: () => availability.start(),
    close: async () => {
      await availability.stop()
      for (const connection of [client, writer]) connection.disconnect()
      blocking.close()
    }
  }
}

/** Opens the connections for blocking reads, and closes those that are left. */
function createBlocking(open: (options: RedisOptions) => Redis) {
  const connections = new Set<Redis>()
  return {
    open: (block: number) => {
      const connection = open({ socketTimeout: block + BLOCK_GRACE, retryStrategy: () => null })
      connection.on('error', () => {})
      connection.on('end', () => {
        connections.delete(connection)
        // Ends what the driver has opened to watch the sentinels.
        connection.disconnect()
      })
      connections.add(connection)
      return connection
    },
    close: () => {
      for (const connection of connections) connection.disconnect()
    }
  }
}

/**
 * Connects the connection that waits for replicas, and checks that it works.
 * @throws {StoreUnavailable} when it does not.
 */
async function probeWriter(writer: Redis): Promise<void> {
  if (writer.status === 'wait' || writer.status === 'end') await writer.connect().catch(reportAsRedis)
  await writer.time().catch(reportAsRedis)
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
