import { KEY_PATTERN, MAX_KEY_LENGTH } from '../../../schema/http/idempotency-key.ts'
import { InvalidIdempotencyKey } from '../../idempotency/errors.ts'

const KEY = RegExp(KEY_PATTERN)

/** The string in quotes at the begin of an item, without its parameters. */
const STRING = /^"((?:[^"\\]|\\.)*)"/

/**
 * Reads the header Idempotency-Key. Returns undefined without the header. A key in quotes and the same key without
 * quotes are equal.
 * @throws {InvalidIdempotencyKey}
 */
export function readIdempotencyKey(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined
  const text = String(header)
  if (!KEY.test(text))
    throw new InvalidIdempotencyKey(
      `Send one Idempotency-Key, as a string in quotes: 1 to ${MAX_KEY_LENGTH} characters of printable ASCII.`
    )
  const [, quoted] = STRING.exec(text) ?? []
  return quoted === undefined ? text : quoted.replaceAll(/\\(.)/g, '$1')
}
