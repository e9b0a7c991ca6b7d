/**
 * The most documents of one generation. A document has about 250 bytes, so two full generations use less than 10 MB.
 */
const SIZE = 10_000

/** The longest time for which a generation accepts documents (ms). */
const LIFETIME = 5000

/**
 * Documents of completed and cancelled orders that this process has just read. These documents never change, so the
 * next read needs no store. There are two generations. When the young generation is full or its lifetime is over, the
 * old generation is deleted, and the young generation becomes the old generation. A document is therefore kept for at
 * most two lifetimes. The next read then goes to Redis, which renews the TTL of the document.
 */
export interface RecentDocuments {
  /** Returns the document of an order. Returns undefined when memory does not have the document. */
  get: (identity: string) => string | undefined
  /** Stores the document of an order that never changes again. */
  keep: (identity: string, document: string) => void
}

/**
 * Creates an empty memory. `ttl` is the time for which Redis keeps a document after its last use (ms). Memory keeps a
 * document for at most half of `ttl`.
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

  /** Deletes generations whose lifetime is over. */
  const age = () => {
    const lifetimes = Math.floor((performance.now() - born) / lifetime)
    if (lifetimes === 0) return
    if (lifetimes > 1) young = new Map()
    begin(born + lifetimes * lifetime)
  }

  return {
    get: identity => {
      age()
      return young.get(identity) ?? old.get(identity)
    },
    keep: (identity, document) => {
      age()
      if (young.size === SIZE) begin(performance.now())
      young.set(copyOf(identity), document)
    }
  }
}

/** Copies a text. An order id is a slice of its URL, and a slice keeps the whole URL in memory. */
function copyOf(text: string): string {
  return Buffer.from(text).toString()
}
