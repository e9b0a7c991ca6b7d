import type { Keys } from '../keys.ts'

/** Most dead letters that one script call takes. */
export const CHUNK = 500

/** Entry ids of dead letters in one partition, few enough for one script call. */
export interface Chunk {
  partition: number
  entries: string[]
}

/** Splits the id of a dead letter, `<partition>:<entry id>`. */
export function parseId(id: string): [partition: number, entry: string] {
  const [partition = '', entry = ''] = id.split(':', 2)
  return [Number(partition), entry]
}

/** Groups ids by partition into chunks. Drops ids of partitions that do not exist. */
export function toChunks(ids: string[], keys: Keys): Chunk[] {
  return [...Map.groupBy(ids, id => parseId(id)[0])]
    .filter(([partition]) => partition < keys.partitions)
    .flatMap(([partition, own]) =>
      Array.from({ length: Math.ceil(own.length / CHUNK) }, (_, index) => ({
        partition,
        entries: own.slice(index * CHUNK, (index + 1) * CHUNK).map(id => parseId(id)[1])
      }))
    )
}

/** Calls `step` with the remaining entries until there are none. `step` returns how many entries it has looked at. */
export async function inSteps(entries: string[], step: (rest: string[]) => Promise<number>): Promise<void> {
  for (let first = 0; first < entries.length; ) first += await step(entries.slice(first))
}
