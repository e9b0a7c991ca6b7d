import type { BatchResult, KeyWrite, Message } from '../function.ts'
import { isSmall, isTooLarge, LARGEST_MESSAGE } from '../limits.ts'

/** What a function said of its messages cannot be settled; it counts as if the function had thrown. */
class ResultRefused extends Error {
  override name = 'ResultRefused'

  constructor(what: string, index: number, fault: string) {
    super(`The function gave a result that cannot be settled: ${what}[${index}] ${fault}`)
  }
}

/**
 * Checks what a function says of its messages, before any of it is written; gives it, or `{}` when it said nothing. What
 * names no message of the batch would be lost without a word, and what Redis takes for no key would fail the whole batch.
 * @throws {ResultRefused} with the first fault.
 */
// biome-ignore lint/suspicious/noConfusingVoidType: a handler that has nothing to say returns nothing
export function checkResult(result: BatchResult | void, messages: readonly Message[]): BatchResult {
  if (!result) return {}
  const { writes = [], events = [], duplicates = [], failed = [] } = result
  const ids = new Set(messages.map(({ id }) => id))
  const check = (what: keyof BatchResult, index: number, message: Message, fault?: string | false) => {
    if (!ids.has(message.id)) throw new ResultRefused(what, index, 'is of a message that is not in the batch')
    if (fault) throw new ResultRefused(what, index, fault)
  }
  let characters = 0
  for (const [index, write] of writes.entries()) {
    check('writes', index, write.message, faultOfWrite(write))
    characters += write.value.length
  }
  for (const [index, { message, data, unless }] of events.entries()) {
    const isText = typeof data === 'string' && typeof unless === 'string'
    check('events', index, message, !isText && 'has data or unless that is no text')
    characters += data.length
  }
  // Nothing of one message is too large where all of it together is not.
  if (!isSmall(characters)) checkSizes(writes, events)
  for (const [index, message] of duplicates.entries()) check('duplicates', index, message)
  for (const [index, { message }] of failed.entries()) check('failed', index, message)
  return result
}

/** Checks what belongs to each message: it is settled in one step with that, which must not keep Redis busy for long. */
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
        what,
        index,
        `takes what is written and published with its message above ${LARGEST_MESSAGE} bytes`
      )
  }
  for (const [index, { message, value }] of writes.entries()) check('writes', index, message, value)
  for (const [index, { message, data }] of events.entries()) check('events', index, message, data)
}

function faultOfWrite({ key, value, ttl }: KeyWrite): string | undefined {
  if (typeof key !== 'string' || key === '') return 'has no key'
  if (typeof value !== 'string') return 'has a value that is no text'
  if (!Number.isSafeInteger(ttl) || ttl < 1)
    return `has the ttl ${ttl}, which is no whole number of ms above 0`
  return undefined
}
