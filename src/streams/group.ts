import { GroupExists } from '../stores/errors.ts'
import type { RedisStore } from '../stores/redis.ts'
import { loadScript } from '../stores/script.ts'
import type { Entry } from './entries.ts'
import type { KeyWrite } from './function.ts'

const settle = loadScript(new URL('settle.lua', import.meta.url))
const renew = loadScript(new URL('renew.lua', import.meta.url))
const leave = loadScript(new URL('leave.lua', import.meta.url))

/** One consumer's place in a group on one stream: the operations of Redis Streams that the runtime uses. */
export interface GroupMember {
  stream: string
  group: string
  consumer: string
  /** Makes the group if it is missing, at the very beginning: what no group has acknowledged must be delivered. */
  join: () => Promise<void>
  /** Takes over up to `count` messages that nobody has touched for `idle` ms; `cursor` says where to go on. */
  claim: (idle: number, cursor: string, count: number) => Promise<{ entries: Entry[]; cursor: string }>
  /** Ends messages in one atomic step with the keys they write; gives the ids that this consumer still owned. */
  settle: (ids: string[], writes: KeyWrite[]) => Promise<string[]>
  renew: (ids: string[]) => Promise<void>
  /** Removes this consumer if nothing is pending for it. */
  leave: () => Promise<void>
}

export function createGroupMember(
  redis: RedisStore,
  stream: string,
  group: string,
  consumer: string
): GroupMember {
  return {
    stream,
    group,
    consumer,
    join: async () => {
      try {
        await redis.run(client => client.xgroup('CREATE', stream, group, '0', 'MKSTREAM'))
      } catch (error) {
        if (!(error instanceof GroupExists)) throw error
      }
    },
    claim: async (idle, cursor, count) => {
      const [next, entries] = (await redis.run(client =>
        client.xautoclaim(stream, group, consumer, idle, cursor, 'COUNT', count)
      )) as [string, Entry[]]
      return { entries, cursor: next }
    },
    settle: (ids, writes) => {
      const byMessage = new Map<string, KeyWrite[]>(ids.map(id => [id, []]))
      for (const write of writes) byMessage.get(write.message.id)?.push(write)
      const keys = [stream]
      const args: (string | number)[] = [group, consumer]
      for (const [id, own] of byMessage) {
        args.push(id, own.length)
        for (const { key, value, ttl } of own) {
          keys.push(key)
          args.push(value, ttl)
        }
      }
      return redis.run(client => settle(client, keys, args) as Promise<string[]>)
    },
    renew: async ids => {
      await redis.run(client => renew(client, [stream], [group, consumer, ...ids]))
    },
    leave: async () => {
      await redis.run(client => leave(client, [stream], [group, consumer]))
    }
  }
}
