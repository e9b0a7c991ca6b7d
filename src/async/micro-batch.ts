/** The limits of a call that several callers share. */
export interface MicroBatchOptions<Item, Result> {
  /** Does the work for all items at once. Resolves to one result for each item, in the order of the items. */
  run: (items: Item[]) => Promise<Result[]>
  /** The most items of one call. */
  size: number
  /** The most calls in flight. Items that arrive in the meantime wait for the next call. */
  inFlight: number
}

/** With this number of items, a call begins before the turn ends, so that the store works in the meantime. */
const ENOUGH = 32

interface Waiting<Item, Result> {
  item: Item
  resolve: (result: Result) => void
  reject: (error: unknown) => void
}

/**
 * Puts the items of concurrent callers into one call. When no call is in flight, a call begins with all items of this
 * turn of the event loop. A call costs about the same for few items as for many. While other calls are in flight, the
 * next call therefore begins only with `ENOUGH` items, or with half as many items as are in flight. Fewer items wait,
 * at most for the next answer. No caller joins a call that has begun, so no answer is older than its question.
 */
export function createMicroBatch<Item, Result>(
  options: MicroBatchOptions<Item, Result>
): (item: Item) => Promise<Result> {
  let waiting: Waiting<Item, Result>[] = []
  let callsInFlight = 0
  let itemsInFlight = 0
  let scheduled = false

  const isWorthwhile = () =>
    callsInFlight === 0 ||
    (callsInFlight < options.inFlight && waiting.length >= Math.min(ENOUGH, itemsInFlight / 2))

  const flush = () => {
    scheduled = false
    while (waiting.length > 0 && isWorthwhile()) {
      const batch = waiting.length <= options.size ? waiting : waiting.slice(0, options.size)
      waiting = batch === waiting ? [] : waiting.slice(options.size)
      callsInFlight++
      itemsInFlight += batch.length
      void call(batch)
    }
  }

  const call = async (batch: Waiting<Item, Result>[]) => {
    try {
      const results = await options.run(batch.map(({ item }) => item))
      batch.forEach(({ resolve }, index) => {
        resolve(results[index] as Result)
      })
    } catch (error) {
      for (const { reject } of batch) reject(error)
    } finally {
      callsInFlight--
      itemsInFlight -= batch.length
      flush()
    }
  }

  return item =>
    new Promise<Result>((resolve, reject) => {
      waiting.push({ item, resolve, reject })
      if (waiting.length >= ENOUGH && isWorthwhile()) return flush()
      if (scheduled) return
      scheduled = true
      setImmediate(flush)
    })
}
