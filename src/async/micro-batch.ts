export interface MicroBatchOptions<Item, Result> {
  /** Does the work for all items at once; resolves to one result for each, in their order. */
  run: (items: Item[]) => Promise<Result[]>
  /** Most items of one call. */
  size: number
  /** Most calls under way at once; items that come meanwhile wait and go together. */
  inFlight: number
}

/** So many items begin a call whenever there is room, even before the turn ends: the store works while it goes on. */
const ENOUGH = 32

interface Waiting<Item, Result> {
  item: Item
  resolve: (result: Result) => void
  reject: (error: unknown) => void
}

/**
 * Lets concurrent callers share one round trip. With none under way, a call begins with all that was asked for in this
 * turn of the event loop. A call costs much the same however few share it, so beside others one begins only when it is
 * big enough to pay: half of all that is under way, or `ENOUGH`; what comes before that waits, at most for the next answer.
 * No caller ever joins a call that has begun, so what it is answered is at least as new as its question.
 */
export function createMicroBatch<Item, Result>(
  options: MicroBatchOptions<Item, Result>
): (item: Item) => Promise<Result> {
  let waiting: Waiting<Item, Result>[] = []
  let running = 0
  let underWay = 0
  let scheduled = false

  const pays = () =>
    running === 0 || (running < options.inFlight && waiting.length >= Math.min(ENOUGH, underWay / 2))

  const flush = () => {
    scheduled = false
    while (waiting.length > 0 && pays()) {
      const batch = waiting.length <= options.size ? waiting : waiting.slice(0, options.size)
      waiting = batch === waiting ? [] : waiting.slice(options.size)
      running++
      underWay += batch.length
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
      running--
      underWay -= batch.length
      flush()
    }
  }

  return item =>
    new Promise<Result>((resolve, reject) => {
      waiting.push({ item, resolve, reject })
      if (waiting.length >= ENOUGH && pays()) return flush()
      if (scheduled) return
      scheduled = true
      setImmediate(flush)
    })
}
