import { isIP } from 'node:net'
import { Cluster, type Command, Redis, type RedisOptions } from 'ioredis'
import type { Config } from '../../../schema/config/env.ts'
import { fromRedis } from '../driver-errors.ts'
import { ReadOnlyReplica } from '../errors.ts'
import { type Address, parseAddress, parseList } from './address.ts'

/** The usual port of a sentinel. */
const SENTINEL_PORT = 26_379

/** The shortest and the longest time for which a connection to a replica is kept (ms). */
const SHORTEST_STAY = 1000
const LONGEST_STAY = 30_000

/** Returns the options of a connection to a server. `more` overrides them. */
function connectionOptions(
  config: Config,
  address: Address,
  more: RedisOptions
): RedisOptions & { replyMapping: 'legacy' } {
  const { host, port } = parseAddress(address)
  return {
    host,
    port,
    ...(config.REDIS_USERNAME !== '' && { username: config.REDIS_USERNAME }),
    ...(config.REDIS_PASSWORD !== '' && { password: config.REDIS_PASSWORD }),
    // The certificate must contain the name of the host. TLS can request a name, but not an address.
    ...(config.REDIS_TLS && { tls: isIP(host) ? {} : { servername: host } }),
    ...sentinelOptions(config),
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

/** Returns the options of a connection to the master that the sentinels name; none without sentinels. */
function sentinelOptions(config: Config): RedisOptions {
  if (config.REDIS_SENTINELS === undefined) return {}
  return {
    sentinels: parseList(config.REDIS_SENTINELS, SENTINEL_PORT).map(parseAddress),
    ...(config.REDIS_SENTINEL_NAME !== undefined && { name: config.REDIS_SENTINEL_NAME }),
    ...(config.REDIS_SENTINEL_PASSWORD !== undefined && { sentinelPassword: config.REDIS_SENTINEL_PASSWORD }),
    ...(config.REDIS_TLS && { enableTLSForSentinelMode: true, sentinelTLS: {} }),
    sentinelCommandTimeout: config.STORE_TIMEOUT_MS,
    // The connection itself connects again, so the sentinels are asked again.
    sentinelRetryStrategy: () => null,
    // Leaves a master that the sentinels have replaced, even when it still answers or hangs.
    failoverDetector: true
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
 * Opens a connection to a server. Its commands fail with classes of errors.ts. `more` overrides the options for every
 * connection of this service.
 */
export function createConnection(config: Config, address: Address, more: RedisOptions): Redis {
  return new Connection(connectionOptions(config, address, more))
}

/**
 * Opens the client of functions for a cluster. Its commands also fail with classes of errors.ts. Each has
 * STORE_TIMEOUT_MS, and is sent to the next server only when a server has refused it without an effect.
 */
export function createClusterClient(config: Config, seeds: readonly Address[]): Cluster {
  const [first = ''] = seeds
  return new ClusterClient(seeds.map(parseAddress), {
    lazyConnect: true,
    enableReadyCheck: false,
    enableOfflineQueue: false,
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    redisOptions: connectionOptions(config, first, {
      commandTimeout: config.STORE_TIMEOUT_MS,
      // The name in the certificate of each server is that of its own host.
      ...(config.REDIS_TLS && { tls: {} })
    })
  })
}

/** Errors are mapped only here, because an error that a caller throws between two commands does not come from Redis. */
class Connection extends Redis {
  override sendCommand(command: Command, stream?: Parameters<Redis['sendCommand']>[1]): unknown {
    const { reject } = command
    command.reject = error => reject(fromRedis(error))
    const socket = this.stream
    if (socket?.writable && socket.writableCorked === 0) {
      // The commands of one turn are written at once.
      socket.cork()
      process.nextTick(() => socket.uncork())
    }
    return super.sendCommand(command, stream)
  }

  override duplicate(override: Partial<RedisOptions> = {}): Redis {
    return new Connection({ ...this.options, ...override } as RedisOptions & { replyMapping: 'legacy' })
  }
}

class ClusterClient extends Cluster {
  override sendCommand(...[command, stream, node]: Parameters<Cluster['sendCommand']>): unknown {
    // The cluster sends a command again with a node after a redirection.
    if (node === undefined) {
      const { reject } = command
      command.reject = error => reject(fromRedis(error))
    }
    return super.sendCommand(command, stream, node)
  }
}
