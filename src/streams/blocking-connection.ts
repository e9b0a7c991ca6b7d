import type { Redis } from 'ioredis'
import { fromRedis } from '../stores/driver-errors.ts'
import type { RedisMaster } from '../stores/redis/master.ts'

/** A connection for blocking reads of one partition. It opens at the first read, and again after it was lost. */
export interface BlockingConnection {
  /**
   * Runs one read on the connection.
   * @throws the error of errors.ts for the failure: a store error, or {GroupMissing}.
   */
  use: <T>(read: (connection: Redis) => Promise<T>) => Promise<T>
  close: () => void
}

/** The dependencies of a blocking connection. */
export interface BlockingConnectionOptions {
  /** The longest BLOCK of a read (ms). */
  block: number
  /** Called when a connection is lost or closed. */
  onClose?: () => void
}

/** Creates a connection for blocking reads from the master of a partition. */
export function createBlockingConnection(
  redis: RedisMaster,
  { block, onClose = () => {} }: BlockingConnectionOptions
): BlockingConnection {
  let connection: Redis | undefined
  // The error of a command without a connection does not state why the connection failed.
  let broken: Error | undefined

  const open = () => {
    const opened = redis.blockingConnection(block)
    opened.on('error', error => {
      broken = error
    })
    opened.on('ready', () => {
      broken = undefined
    })
    opened.on('close', onClose)
    return opened
  }

  return {
    use: async read => {
      // A connection that is lost ends, and so does one to a server that no longer has the partition.
      if (!connection || connection.status === 'end') connection = open()
      const used = connection
      try {
        if (used.status !== 'ready') await used.connect()
        return await read(used)
      } catch (error) {
        throw fromRedis(used.status === 'ready' ? error : (broken ?? error))
      }
    },
    close: () => connection?.disconnect()
  }
}
