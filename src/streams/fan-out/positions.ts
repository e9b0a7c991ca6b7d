/** The position before the first entry of a log. */
export const START = '0-0'

/**
 * Compares two ids of stream entries (`<ms>-<sequence>`). Returns a negative number when `a` is older, 0 when they are
 * equal, and a positive number when `a` is newer.
 */
export function compareIds(a: string, b: string): number {
  const [aMs, aSequence] = partsOf(a)
  const [bMs, bSequence] = partsOf(b)
  return aMs - bMs || aSequence - bSequence
}

/** Returns the time of a stream entry, in milliseconds on the clock of its server. */
export function timeOf(id: string): number {
  return partsOf(id)[0]
}

/** Writes a position of each partition as one text, such as `mikz3v4g.mikz3v4h-1`. It has only `[0-9a-z.-]`. */
export function writePositions(ids: readonly string[]): string {
  return ids.map(writePosition).join('.')
}

/** Reads what `writePositions` has written. Returns undefined for any other text, and for another number of partitions. */
export function readPositions(text: string, partitions: number): string[] | undefined {
  if (!POSITIONS.test(text)) return undefined
  const ids = text.split('.').map(part => {
    const [ms = '', sequence = '0'] = part.split('-')
    return `${Number.parseInt(ms, RADIX)}-${Number.parseInt(sequence, RADIX)}`
  })
  return ids.length === partitions ? ids : undefined
}

const RADIX = 36
const POSITIONS = /^[0-9a-z]{1,10}(-[0-9a-z]{1,10})?(\.[0-9a-z]{1,10}(-[0-9a-z]{1,10})?)*$/

function partsOf(id: string): [ms: number, sequence: number] {
  const hyphen = id.indexOf('-')
  return [Number(id.slice(0, hyphen)), Number(id.slice(hyphen + 1))]
}

function writePosition(id: string): string {
  const [ms, sequence] = partsOf(id)
  return ms.toString(RADIX) + (sequence === 0 ? '' : `-${sequence.toString(RADIX)}`)
}
