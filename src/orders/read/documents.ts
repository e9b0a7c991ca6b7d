import { createMicroBatch } from '../../async/micro-batch.ts'
import { StoreUnavailable } from '../../stores/errors.ts'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../../streams/keys.ts'
import { isDocumentOf, type OrderRecord, renderDocument, startOfDocument } from '../order.ts'

const read = loadScript(new URL('read.lua', import.meta.url))
const putBackScript = loadScript(new URL('put-back.lua', import.meta.url))

/** Most documents that one round trip reads, and most round trips under way for one partition. */
const READ_SIZE = 200
const READ_IN_FLIGHT = 2

/** The documents of orders in Redis. Every call throws `StoreUnavailable` when Redis is away. */
export interface Documents {
  /**
   * The document of an order, or undefined. Concurrent reads share a round trip.
   * @throws {StoreUnavailable} also when what is there is no document of that order: MySQL may have it.
   */
  get: (id: string) => Promise<string | undefined>
  /** The write that stores a finished order's document as its message is settled. */
  toWrite: (order: OrderRecord) => { key: string; value: string; ttl: number }
  /**
   * Puts the document of a finished order back that Redis had dropped, or has as another text. One that is there is as
   * new, and stays.
   */
  putBack: (order: OrderRecord) => Promise<void>
}

/**
 * `ttl` is how long the document of a finished order stays after its last use, in ms; `onCorrupt` is called for each text
 * that is read and is no document.
 */
export function createDocuments(
  redis: RedisStore,
  keys: Keys,
  ttl: number,
  onCorrupt: () => void
): Documents {
  /** Gives documents their full TTL anew. XX: one that has none by now belongs to an order that waits, and must get none. */
  const renew = (used: string[]) =>
    redis.run(client => Promise.all(used.map(key => client.pexpire(key, ttl, 'XX'))))

  const readBatch = async (ids: string[]) => {
    const used = ids.map(keys.document)
    const reply = await redis.run(client => read(client, used, [ttl]))
    const [found, due] = reply as [(string | null)[], number[]]
    // Nobody waits for it: what is not renewed now is due at the next read.
    if (due.length > 0) renew(due.map(index => used[index] as string)).catch(() => {})
    return found
  }

  const readers = Array.from({ length: keys.partitions }, () =>
    createMicroBatch<string, string | null>({ size: READ_SIZE, inFlight: READ_IN_FLIGHT, run: readBatch })
  )
  return {
    get: async id => {
      const reader = readers[keys.partitionOf(id)] as (typeof readers)[number]
      const document = (await reader(id)) ?? undefined
      if (document === undefined || isDocumentOf(id, document)) return document
      onCorrupt()
      throw new StoreUnavailable('redis', new Error('the document of the order cannot be read'))
    },
    toWrite: order => ({
      key: keys.document(order.order_id),
      value: renderDocument(order),
      ttl
    }),
    putBack: async order => {
      await redis.run(client =>
        putBackScript(
          client,
          [keys.document(order.order_id)],
          [renderDocument(order), ttl, startOfDocument(order.order_id)]
        )
      )
    }
  }
}
