import type { Redis } from 'ioredis'
import { fromRedis } from '../../stores/driver-errors.ts'
import { NotPermitted } from '../../stores/errors.ts'
import type { RedisMaster } from '../../stores/redis/master.ts'
import type { Entry } from '../group/delivery.ts'
import type { GroupMember } from '../group/member.ts'

/**
 * Longest time that a read waits for a message (ms). It is finite, because a half-open socket would block a read
 * forever. It is short, because due retries are taken between two reads.
 */
const BLOCK = 250

/** Reads new messages for a group member, on a connection of its own. */
export interface StreamReader {
  /** Waits for messages and returns up to `count`; none when no message arrives within `BLOCK`. */
  wait: (count: number) => Promise<Entry[]>
  /** Returns up to `count` messages without waiting. */
  take: (count: number) => Promise<Entry[]>
  /** Makes a running `wait` return at once, with the messages that it has read. */
  interrupt: () => Promise<void>
  close: () => void
}

type Reply = [key: string, entries: Entry[]][] | null

/** Creates a reader. Its calls throw {StoreUnavailable} or {GroupMissing}. */
export function createStreamReader(redis: RedisMaster, member: GroupMember): StreamReader {
  let connection: Redis | undefined
  let connectionId: number | undefined
  // The error of a command without a connection does not state why the connection failed.
  let broken: Error | undefined

  const open = () => {
    const opened = redis.blockingConnection(BLOCK)
    opened.on('error', error => {
      broken = error
    })
    opened.on('ready', () => {
      broken = undefined
    })
    opened.on('close', () => {
      connectionId = undefined
    })
    return opened
  }

  const read = async (count: number, block: number | undefined): Promise<Entry[]> => {
    // A connection that is lost ends, and so does one to a server that no longer has the partition.
    if (!connection || connection.status === 'end') connection = open()
    try {
      if (connection.status !== 'ready') await connection.connect()
      connectionId ??= await connection.client('ID').catch(unlessNotPermitted)
      const { group, consumer, stream } = member
      const reply =
        block === undefined
          ? await connection.xreadgroup('GROUP', group, consumer, 'COUNT', count, 'STREAMS', stream, '>')
          : await connection.xreadgroup(
              'GROUP',
              group,
              consumer,
              'COUNT',
              count,
              'BLOCK',
              block,
              'STREAMS',
              stream,
              '>'
            )
      return (reply as Reply)?.[0]?.[1] ?? []
    } catch (error) {
      throw fromRedis(connection.status === 'ready' ? error : (broken ?? error))
    }
  }

  return {
    wait: count => read(count, BLOCK),
    take: count => read(count, undefined),
    interrupt: async () => {
      const id = connectionId
      if (id !== undefined) await redis.run(client => client.client('UNBLOCK', id))
    },
    close: () => connection?.disconnect()
  }
}

/** A Redis user who may not run CLIENT ID can still read. A stop then waits until the read returns. */
function unlessNotPermitted(error: unknown): undefined {
  if (!(fromRedis(error) instanceof NotPermitted)) throw error
}
