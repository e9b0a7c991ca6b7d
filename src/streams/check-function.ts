import { Compile } from 'typebox/compile'
import { FunctionSettings } from '../../schema/function.ts'
import type { ResolvedFunction } from './function.ts'
import { EVENTS, LOGS, ORDER_FUNCTION, PLACED } from './streams.ts'

/** `app.consume` was given a function that it cannot take; the message has every reason, and what to do. */
export class FunctionRefused extends Error {
  override name = 'FunctionRefused'

  constructor(name: string, faults: string[]) {
    super(`app.consume cannot take the function ${JSON.stringify(name)}:\n  - ${faults.join('\n  - ')}`)
  }
}

const settings = Compile(FunctionSettings)

/**
 * Checks a function before it may consume, beside those that this process has already.
 * @throws {FunctionRefused} with every fault at once.
 */
export function checkFunction(definition: ResolvedFunction, others: readonly ResolvedFunction[]): void {
  const faults = [...faultsOfSettings(definition), ...faultsOfStream(definition, others)]
  if (faults.length > 0) throw new FunctionRefused(definition.name, faults)
}

function faultsOfSettings(definition: ResolvedFunction): string[] {
  // A group that is the name has the faults of the name.
  const { group, ...rest } = definition
  const given = group === definition.name ? rest : definition
  return settings.Errors(given).map(({ instancePath, message }) => {
    const path = instancePath.slice(1).split('/')
    return `${path.join('.')} ${message}. ${descriptionOf(path)}`
  })
}

function descriptionOf(path: string[]): string {
  let schema = FunctionSettings as { properties?: Record<string, object>; description?: string }
  for (const part of path) schema = schema.properties?.[part] ?? {}
  return schema.description ?? ''
}

/**
 * A queue deletes what one group has settled, so a second one would take messages that the first has not seen; retries
 * and dead letters are kept by the function's name, so two of one name would take each other's.
 */
function faultsOfStream(
  { name, stream, group }: ResolvedFunction,
  others: readonly ResolvedFunction[]
): string[] {
  const faults: string[] = []
  if (others.some(other => other.name === name))
    faults.push('name: another function has it already. Give each function a name of its own.')
  if ((stream === PLACED) !== (name === ORDER_FUNCTION)) {
    faults.push(
      `stream: ${PLACED} and ${ORDER_FUNCTION} belong to each other. Take ${EVENTS} to learn what became of orders.`
    )
  }
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
