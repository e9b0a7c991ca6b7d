/** Most documents of one generation. One has some 250 bytes, so that two full generations take less than 10 MB. */
const SIZE = 10_000

/** How long a generation takes documents in, in ms. */
const LIFETIME = 5000

/**
 * Documents of completed orders that this process has just read. Such an order never changes again, so the next read of it
 * needs no store. They are kept in two generations: when the young one is full, or its time is over, it becomes the old one
 * and what was that is dropped. So none is kept for longer than two lifetimes, however often it is read: the next read goes
 * to Redis, which counts it as a use.
 */
export interface RecentDocuments {
  /** The document of a completed order that was kept of late. */
  get: (id: string) => string | undefined
  /** Keeps the document of an order that is completed. */
  keep: (id: string, document: string) => void
}

/** `ttl` is how long Redis keeps a document after its last use, in ms: a kept one is not answered for longer than half of it. */
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

  /** Lets go of what is too old. */
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

/** The same text in memory of its own: an id is a part of the URL that it came in, and would keep all of that alive. */
function copyOf(text: string): string {
  return Buffer.from(text).toString()
}
