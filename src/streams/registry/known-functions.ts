import type { Redis } from 'ioredis'
import { Compile } from 'typebox/compile'
import { FunctionName, FunctionSettings } from '../../../schema/config/function.ts'
import type { ResolvedFunction } from '../function.ts'
import type { Keys } from '../keys.ts'
import { EVENTS } from '../names.ts'
import { readUnsettledIn } from './unsettled.ts'

const names = Compile(FunctionName)
const streams = Compile(FunctionSettings.properties.stream)

/** A function that consumes a partition of a stream, or has consumed it before. */
export type KnownFunction = Pick<ResolvedFunction, 'name' | 'stream' | 'group'>

/** Encodes a function as a member of the set `functions`. The names contain no spaces. */
export function toMember({ name, stream, group }: KnownFunction): string {
  return `${name} ${stream} ${group}`
}

/**
 * Reads every function that has ever joined a group in this partition: the functions of the service, the members of the
 * set `functions`, and the groups of `events`. An older version created groups without adding the function to the set.
 * Skips invalid members, since their keys may be invalid.
 */
export async function readKnownFunctions(
  client: Redis,
  keys: Keys,
  partition: number,
  serviceFunctions: readonly KnownFunction[]
): Promise<KnownFunction[]> {
  const [members, unsettled] = await Promise.all([
    client.smembers(keys.functions(partition)),
    readUnsettledIn(client, keys, partition)
  ])
  const known = new Set([
    ...serviceFunctions.map(toMember),
    ...[...unsettled.keys()].map(group => toMember({ name: group, stream: EVENTS, group })),
    ...members.filter(isMember)
  ])
  return [...known].map(fromMember)
}

function fromMember(member: string): KnownFunction {
  const [name = '', stream = '', group = ''] = member.split(' ')
  return { name, stream, group }
}

/** Returns whether a text is a member that this service has written. */
function isMember(text: string): boolean {
  const known = fromMember(text)
  return (
    text === toMember(known) &&
    names.Check(known.name) &&
    streams.Check(known.stream) &&
    names.Check(known.group)
  )
}
