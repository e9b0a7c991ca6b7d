import type { Redis } from 'ioredis'
import { fromRedis } from '../../stores/driver-errors.ts'
import { NotPermitted } from '../../stores/errors.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
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
export function createStreamReader(redis: RedisStore, member: GroupMember): StreamReader {
  const connection: Redis = redis.blockingConnection(BLOCK)
  let connectionId: number | undefined
  // The error of a command without a connection does not state why the connection failed.
  let broken: Error | undefined
  connection.on('error', error => {
    broken = error
  })
  connection.on('ready', () => {
    broken = undefined
  })
  connection.on('close', () => {
    connectionId = undefined
  })

  const read = async (count: number, block: number | undefined): Promise<Entry[]> => {
    try {
      if (connection.status !== 'ready') await connected(connection)
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
    close: () => connection.disconnect()
  }
}

/** A Redis user who may not run CLIENT ID can still read. A stop then waits until the read returns. */
function unlessNotPermitted(error: unknown): undefined {
  if (!(fromRedis(error) instanceof NotPermitted)) throw error
}

/** Resolves when the connection is ready; rejects when this attempt to connect fails. */
async function connected(connection: Redis): Promise<void> {
  if (connection.status === 'wait' || connection.status === 'end') return connection.connect()
  await new Promise<void>((resolve, reject) => {
    const ready = () => {
      connection.off('close', closed)
      resolve()
    }
    const closed = () => {
      connection.off('ready', ready)
      reject(new Error('the connection for reading was closed'))
    }
    connection.once('ready', ready)
    connection.once('close', closed)
  })
}
