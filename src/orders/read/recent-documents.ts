/** Most documents of one generation. A document has some 250 bytes, so two full generations take less than 10 MB. */
const SIZE = 10_000

/** The time for which a generation accepts documents (ms). */
const LIFETIME = 5000

/**
 * Documents of completed and cancelled orders that this process has just read. They never change, so the next read of
 * it needs no store. There are two generations. When the young one is full or its time is over, it becomes the old one,
 * and the old one is dropped. So a document is kept for two lifetimes at most, however often it is read. Then a read
 * goes to Redis again, which renews the document's TTL.
 */
export interface RecentDocuments {
  /** Returns the document of an order, if it was kept recently. */
  get: (id: string) => string | undefined
  /** Keeps the document of an order that never changes again. */
  keep: (id: string, document: string) => void
}

/**
 * Creates an empty memory. `ttl` is how long Redis keeps a document after its last use (ms); memory keeps it for half
 * of that.
 */
export function createRecentDocuments(ttl: number): RecentDocuments {
  const lifetime = Math.min(LIFETIME, ttl / 4)
  let young = new Map<string, string>()
  let old = new Map<string, string>()
  let born = performance.now()

  const begin = (at: number) => {
    old = young
    young = new Map()
    born = at
  }

  /** Drops generations whose time is over. */
  const age = () => {
    const lifetimes = Math.floor((performance.now() - born) / lifetime)
    if (lifetimes === 0) return
    if (lifetimes > 1) young = new Map()
    begin(born + lifetimes * lifetime)
  }

  return {
    get: id => {
      age()
      return young.get(id) ?? old.get(id)
    },
    keep: (id, document) => {
      age()
      if (young.size === SIZE) begin(performance.now())
      young.set(copyOf(id), document)
    }
  }
}

/** Copies a text: an id is a slice of its URL, and would keep the whole URL in memory. */
function copyOf(text: string): string {
  return Buffer.from(text).toString()
}
