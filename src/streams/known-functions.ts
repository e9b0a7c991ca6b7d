import type { Redis } from 'ioredis'
import type { ResolvedFunction } from './function.ts'
import type { Keys } from './keys.ts'
import { EVENTS, ORDER_FUNCTION, PLACED } from './streams.ts'
import { readUnsettledIn } from './unsettled.ts'

/** A function that consumes a partition of a stream, or did once. */
export type KnownFunction = Pick<ResolvedFunction, 'name' | 'stream' | 'group'>

/** A function as the set `functions` has it. None of the names has a space in it. */
export function toMember({ name, stream, group }: KnownFunction): string {
  return `${name} ${stream} ${group}`
}

/**
 * Every function that has ever joined a group in this partition: process-orders, those of the set `functions`, and the
 * groups of `events`, which are older than the set where an older version made them.
 */
export async function readKnownFunctions(
  client: Redis,
  keys: Keys,
  partition: number
): Promise<KnownFunction[]> {
  const [members, unsettled] = await Promise.all([
    client.smembers(keys.functions(partition)),
    readUnsettledIn(client, keys, partition)
  ])
  const known = new Set([
    toMember({ name: ORDER_FUNCTION, stream: PLACED, group: ORDER_FUNCTION }),
    ...[...unsettled.keys()].map(group => toMember({ name: group, stream: EVENTS, group })),
    ...members
  ])
  return [...known].map(member => {
    const [name = '', stream = '', group = ''] = member.split(' ')
    return { name, stream, group }
  })
}
