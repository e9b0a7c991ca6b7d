import { fromRedis } from '../../stores/driver-errors.ts'
import { NotPermitted } from '../../stores/errors.ts'
import type { RedisMaster } from '../../stores/redis/master.ts'
import { createBlockingConnection } from '../blocking-connection.ts'
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
  let connectionId: number | undefined
  const blocking = createBlockingConnection(redis, {
    block: BLOCK,
    onClose: () => {
      connectionId = undefined
    }
  })

  const read = (count: number, wait: readonly ['BLOCK', number] | readonly []) =>
    blocking.use(async connection => {
      connectionId ??= await connection.client('ID').catch(unlessNotPermitted)
      const { group, consumer, stream } = member
      const args = ['GROUP', group, consumer, 'COUNT', count, ...wait, 'STREAMS', stream, '>']
      const reply = (await connection.call('xreadgroup', args)) as Reply
      return reply?.[0]?.[1] ?? []
    })

  return {
    wait: count => read(count, ['BLOCK', BLOCK]),
    take: count => read(count, []),
    interrupt: async () => {
      const id = connectionId
      if (id !== undefined) await redis.run(client => client.client('UNBLOCK', id))
    },
    close: blocking.close
  }
}

/** A Redis user who may not run CLIENT ID can still read. A stop then waits until the read returns. */
function unlessNotPermitted(error: unknown): undefined {
  if (!(fromRedis(error) instanceof NotPermitted)) throw error
}
