import type { Redis } from 'ioredis'
import { Compile } from 'typebox/compile'
import { FunctionName, FunctionSettings } from '../../../schema/config/function.ts'
import type { ResolvedFunction } from '../function.ts'
import type { Keys } from '../keys.ts'
import { EVENTS, ORDER_FUNCTION, PLACED } from '../names.ts'
import { readUnsettledIn } from './unsettled.ts'

const names = Compile(FunctionName)
const streams = Compile(FunctionSettings.properties.stream)

/** A function that consumes a partition of a stream, or did once. */
export type KnownFunction = Pick<ResolvedFunction, 'name' | 'stream' | 'group'>

/** A function as the set `functions` has it. None of the names has a space in it. */
export function toMember({ name, stream, group }: KnownFunction): string {
  return `${name} ${stream} ${group}`
}

/**
 * Every function that has ever joined a group in this partition: process-orders, those of the set `functions`, and the
 * groups of `events`, which are older than the set where an older version made them. What names no function is passed
 * over: a key that is no stream would be an error.
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
    ...members.filter(isMember)
  ])
  return [...known].map(fromMember)
}

function fromMember(member: string): KnownFunction {
  const [name = '', stream = '', group = ''] = member.split(' ')
  return { name, stream, group }
}

/** Whether a text is a function as this set has it. */
function isMember(text: string): boolean {
  const known = fromMember(text)
  return (
    text === toMember(known) &&
    names.Check(known.name) &&
    streams.Check(known.stream) &&
    names.Check(known.group)
  )
}
