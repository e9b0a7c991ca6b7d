import type { BatchResult, KeyWrite, Message } from '../function.ts'
import { isSmall, isTooLarge, LARGEST_MESSAGE } from '../limits.ts'

/** The result of a function cannot be settled. This counts as a thrown error. */
class ResultRefused extends Error {
  override name = 'ResultRefused'

  constructor(fault: string) {
    super(`The function returned a result that cannot be settled: ${fault}`)
  }
}

const LISTS: readonly string[] = ['writes', 'events', 'duplicates', 'failed'] satisfies (keyof BatchResult)[]

/**
 * Checks the result of a function before any of it is written, and returns it; `{}` when there is no result. Refuses
 * everything that a `BatchResult` does not have. Otherwise a mistake of the author would not be noticed, and the
 * messages would count as done.
 * @throws {ResultRefused} with the first fault.
 */
export function checkResult(returned: unknown, messages: readonly Message[]): BatchResult {
  if (returned === undefined) return {}
  const result = checkShape(returned)
  const { writes = [], events = [], duplicates = [], failed = [] } = result
  const ids = new Set(messages.map(({ id }) => id))
  const check = (what: keyof BatchResult, index: number, message: Message, fault?: string | false) => {
    if (!ids.has(message?.id))
      throw new ResultRefused(`${what}[${index}] is of a message that is not in the batch`)
    if (fault) throw new ResultRefused(`${what}[${index}] ${fault}`)
  }
  let characters = 0
  for (const [index, write] of writes.entries()) {
    check('writes', index, write.message, faultOfWrite(write))
    characters += write.value.length
  }
  for (const [index, { message, data, unless }] of events.entries()) {
    const isText = typeof data === 'string' && typeof unless === 'string'
    check('events', index, message, !isText && 'has data or unless that is not text')
    characters += data.length
  }
  // When everything together is small, no single message is too large.
  if (!isSmall(characters)) checkSizes(writes, events)
  for (const [index, message] of duplicates.entries()) check('duplicates', index, message)
  for (const [index, { message }] of failed.entries()) check('failed', index, message)
  return result
}

/** Returns the result if it is a plain object that has only the lists of a `BatchResult`, each an array of objects. */
function checkShape(returned: unknown): BatchResult {
  if (typeof returned !== 'object' || returned === null)
    throw new ResultRefused(`it is ${describe(returned)}, not an object with ${LISTS.join(', ')}`)
  const prototype = Object.getPrototypeOf(returned)
  if (prototype !== Object.prototype && prototype !== null)
    throw new ResultRefused(`it is an instance of ${prototype?.constructor?.name}, not a plain object`)
  for (const [name, list] of Object.entries(returned)) {
    if (!LISTS.includes(name)) throw new ResultRefused(`${name} is not one of ${LISTS.join(', ')}`)
    if (list === undefined) continue
    if (!Array.isArray(list)) throw new ResultRefused(`${name} is not an array`)
    const index = list.findIndex(item => typeof item !== 'object' || item === null)
    if (index >= 0) throw new ResultRefused(`${name}[${index}] is not an object`)
  }
  return returned
}

function describe(returned: unknown): string {
  return returned === null ? 'null' : `a ${typeof returned}`
}

/**
 * Checks the total size of the writes and events of each message. Redis writes them in one step, which must be short.
 */
function checkSizes(
  writes: NonNullable<BatchResult['writes']>,
  events: NonNullable<BatchResult['events']>
): void {
  const texts = new Map<string, string[]>()
  const check = (what: keyof BatchResult, index: number, { id }: Message, text: string) => {
    const own = texts.get(id) ?? []
    own.push(text)
    texts.set(id, own)
    if (isTooLarge(...own))
      throw new ResultRefused(
        `${what}[${index}] takes what is written and published with its message above ${LARGEST_MESSAGE} bytes`
      )
  }
  for (const [index, { message, value }] of writes.entries()) check('writes', index, message, value)
  for (const [index, { message, data }] of events.entries()) check('events', index, message, data)
}

function faultOfWrite({ key, value, ttl }: KeyWrite): string | undefined {
  if (typeof key !== 'string' || key === '') return 'has no key'
  if (typeof value !== 'string') return 'has a value that is not text'
  if (!Number.isSafeInteger(ttl) || ttl < 1)
    return `has the ttl ${ttl}, which is not a whole number of ms above 0`
  return undefined
}
