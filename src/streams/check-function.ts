import { Compile } from 'typebox/compile'
import { FunctionSettings } from '../../schema/config/function.ts'
import { editDistance } from './edit-distance.ts'
import type { ResolvedFunction } from './function.ts'
import { EVENTS, LOGS } from './names.ts'
import { optionNames, unknownOptions } from './option-names.ts'

/** `app.consume` refuses a function. The message lists every fault, and what to do. */
export class FunctionRefused extends Error {
  override name = 'FunctionRefused'

  constructor(name: unknown, faults: string[]) {
    const which = name === undefined ? 'a function without a name' : `the function ${JSON.stringify(name)}`
    super(`app.consume cannot take ${which}:\n  - ${faults.join('\n  - ')}`)
  }
}

const settings = Compile(FunctionSettings)

/** A stream name with at most so many edits from the name of a stream of the service is a typing error. */
const NEAR = 2

/** Keywords of JSON Schema. */
const SCHEMA_WORDS =
  'type properties required items enum const anyOf oneOf allOf not if $ref $id $defs pattern format minimum maximum ~kind ~unsafe'.split(
    ' '
  )

/**
 * Streams that only one function may consume, each with the name of this function. It may not consume another stream.
 */
export type ExclusiveStreams = ReadonlyMap<string, string>

/**
 * Checks a function before it consumes. `given` is the definition as its author wrote it. `others` are the other
 * functions of this process.
 * @throws {FunctionRefused} with every fault at once.
 */
export function checkFunction(
  given: unknown,
  definition: ResolvedFunction,
  others: readonly ResolvedFunction[],
  exclusive: ExclusiveStreams
): void {
  if (typeof given !== 'object' || given === null) {
    throw new FunctionRefused(undefined, [
      'It takes one object with name, stream, schema, handler and options.'
    ])
  }
  const faults = [
    ...unknownOptions(given),
    ...faultsOfSettings(definition),
    ...faultsOfCode(definition),
    ...faultsOfName(definition, others),
    ...faultsOfExclusive(definition, exclusive),
    ...faultsOfQueue(definition, others),
    ...faultsOfStart(given, definition)
  ]
  if (faults.length > 0) throw new FunctionRefused(definition.name, faults)
}

function faultsOfSettings(definition: ResolvedFunction): string[] {
  // A group that equals the name has the same faults, which are reported once.
  const { group, ...rest } = definition
  const given = group === definition.name ? rest : definition
  const missing = FunctionSettings.required.filter(
    name => definition[name as keyof ResolvedFunction] === undefined
  )
  return [
    ...missing.map(name => `${name} is missing. ${descriptionOf([name])}`),
    ...settings
      .Errors(given)
      .filter(({ keyword }) => keyword !== 'required')
      .map(({ instancePath, message }) => {
        const path = instancePath.slice(1).split('/')
        return `${path.join('.')} ${message}. ${descriptionOf(path)}`
      })
  ]
}

function descriptionOf(path: string[]): string {
  let schema = FunctionSettings as { properties?: Record<string, object>; description?: string }
  for (const part of path) schema = schema.properties?.[part] ?? {}
  return schema.description ?? ''
}

/** Returns the faults that `FunctionSettings` cannot find: in the callbacks, and in the function's own schema. */
function faultsOfCode(definition: ResolvedFunction): string[] {
  const faults = (['handler', 'filter', 'onDead', 'onRetry'] as const)
    .filter(name => definition[name] !== undefined && typeof definition[name] !== 'function')
    .map(name => `${name} must be a function. ${descriptionOf([name])}`)
  const fault = definition.schema !== undefined && faultOfSchema(definition.schema)
  return fault ? [...faults, `schema ${fault}. ${descriptionOf(['schema'])}`] : faults
}

/**
 * Returns the fault of a schema. A schema of another library, or properties without a schema, would match every
 * message.
 */
function faultOfSchema(schema: unknown): string | undefined {
  if (typeof schema !== 'object' || schema === null || Object.getPrototypeOf(schema) !== Object.prototype)
    return 'must be a JSON Schema'
  const words = Object.getOwnPropertyNames(schema)
  if (words.length > 0 && !words.some(word => SCHEMA_WORDS.includes(word)))
    return `has none of the words of a JSON Schema, only ${optionNames(words)}`
  try {
    Compile(schema)
  } catch (error) {
    return `cannot be compiled: ${(error as Error).message}`
  }
  return undefined
}

/** Returns a fault when the name is in use: the keys of retries and dead letters contain it. */
function faultsOfName({ name }: ResolvedFunction, others: readonly ResolvedFunction[]): string[] {
  if (!others.some(other => other.name === name)) return []
  return ['name: another function has it already. Give each function a name of its own.']
}

function faultsOfExclusive({ name, stream }: ResolvedFunction, exclusive: ExclusiveStreams): string[] {
  const faults: string[] = []
  for (const [own, owner] of exclusive) {
    if ((stream === own) !== (name === owner))
      faults.push(
        `stream: ${own} and ${owner} belong to each other. Take ${EVENTS} to learn what became of orders.`
      )
  }
  const meant =
    typeof stream === 'string' && [EVENTS, ...exclusive.keys()].find(known => isNear(stream, known))
  if (meant) {
    faults.push(
      `stream: ${stream} is a typing error away from ${meant}. Write ${meant}, or name your queue so that it differs by more than ${NEAR} letters.`
    )
  }
  return faults
}

/**
 * Returns a fault when another function consumes the queue, or reads the log in the same group. A queue deletes settled
 * messages, so a second group would miss them.
 */
function faultsOfQueue(
  { name, stream, group }: ResolvedFunction,
  others: readonly ResolvedFunction[]
): string[] {
  const faults: string[] = []
  const isLog = LOGS.includes(stream)
  const rival = others.find(
    other => other.name !== name && other.stream === stream && (!isLog || other.group === group)
  )
  if (rival && isLog)
    faults.push(`group: ${rival.name} reads ${stream} in the group ${group} already. Leave the group out.`)
  if (rival && !isLog) {
    faults.push(
      `stream: ${stream} is a queue, and ${rival.name} consumes it already: what one has settled is gone for the other. ` +
        `Take a queue of its own, or ${EVENTS}, which every function sees.`
    )
  }
  return faults
}

/** Returns a fault when `start` is set for a queue: a function on a queue starts at the oldest message. */
function faultsOfStart(given: { start?: unknown }, { stream }: ResolvedFunction): string[] {
  if (given.start === undefined || LOGS.includes(stream)) return []
  return [`start: only ${LOGS.join()} has it; a queue begins at its oldest message. Leave it out.`]
}

function isNear(stream: string, known: string): boolean {
  return stream !== known && editDistance(stream.toLowerCase(), known) <= NEAR
}
