import { createMicroBatch } from '../../async/micro-batch.ts'
import { StoreUnavailable } from '../../stores/errors.ts'
import type { RedisMaster } from '../../stores/redis/master.ts'
import { loadScript } from '../../stores/redis/script.ts'
import type { RedisStore } from '../../stores/redis/store.ts'
import type { Keys } from '../../streams/keys.ts'
import { identityOf, parseIdentity } from '../identity.ts'
import { isDocumentOf, type OrderRecord, renderDocument, startOfDocument } from '../order.ts'

const read = loadScript(new URL('read.lua', import.meta.url))
const putBackScript = loadScript(new URL('put-back.lua', import.meta.url))

/** The most documents of one micro-batch. */
const READ_SIZE = 200
/** The most micro-batches that run at the same time for one partition. */
const READ_IN_FLIGHT = 2

/** The documents of orders in Redis. Every call throws `StoreUnavailable` when Redis is unavailable. */
export interface Documents {
  /**
   * Reads the document of an order. Returns undefined when there is no document. Concurrent reads go into one
   * micro-batch.
   * @throws {StoreUnavailable} also when the text is not a document of the order, because MySQL may have the order.
   */
  get: (identity: string) => Promise<string | undefined>
  /**
   * Writes the document of a final order if the document in Redis is missing or corrupt. Never replaces a valid
   * document.
   */
  putBack: (order: OrderRecord) => Promise<void>
}

/**
 * Creates the access to documents. `ttl` is the time for which Redis keeps the document of a final order after its last
 * use (ms). `onCorrupt` is called for each text that is not a document of the order.
 */
export function createDocuments(
  redis: RedisStore,
  keys: Keys,
  ttl: number,
  onCorrupt: () => void
): Documents {
  /** Renews the TTL of documents. XX skips a document without a TTL: its order waits, so it must not expire. */
  const renew = (master: RedisMaster, used: string[]) =>
    master.run(client => Promise.all(used.map(key => client.pexpire(key, ttl, 'XX'))))

  const readBatch = async (identities: string[], partition: number) => {
    const master = redis.masterOf(partition)
    const used = identities.map(keys.document)
    const reply = await master.run(client => read(client, used, [ttl]))
    const [found, due] = reply as [(string | null)[], number[]]
    // No caller waits for the renewal. If the renewal fails, the next read tries it again.
    if (due.length > 0)
      renew(
        master,
        due.map(index => used[index] as string)
      ).catch(() => {})
    return found
  }

  const readers = Array.from({ length: keys.partitions }, (_, partition) =>
    createMicroBatch<string, string | null>({
      size: READ_SIZE,
      inFlight: READ_IN_FLIGHT,
      run: identities => readBatch(identities, partition)
    })
  )
  return {
    get: async identity => {
      const reader = readers[keys.partitionOf(identity)] as (typeof readers)[number]
      const document = (await reader(identity)) ?? undefined
      if (document === undefined || isDocumentOf(parseIdentity(identity).order_id, document)) return document
      onCorrupt()
      throw new StoreUnavailable('redis', new Error('the document of the order cannot be read'))
    },
    putBack: async order => {
      const identity = identityOf(order)
      await redis
        .masterOf(keys.partitionOf(identity))
        .run(client =>
          putBackScript(
            client,
            [keys.document(identity)],
            [renderDocument(order), ttl, startOfDocument(order.order_id)]
          )
        )
    }
  }
}
