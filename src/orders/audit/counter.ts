import { parseCount } from './epoch.ts'

/** A partition's counter of accepted orders in Redis. */
export interface Counter {
  epoch: string
  count: number
  /** The last count of each older epoch. */
  older: Map<string, number>
}

/** Converts the fields of the hash `accepted`. A field `epoch:<name>` has the last count of an older epoch. */
export function toCounter(fields: string[]): Counter {
  const counter: Counter = { epoch: '', count: 0, older: new Map() }
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [name, value] = [fields[i] as string, fields[i + 1] as string]
    if (name === 'epoch') counter.epoch = value
    else if (name === 'count') counter.count = parseCount(value)
    else if (name.startsWith('epoch:')) counter.older.set(name.slice('epoch:'.length), parseCount(value))
  }
  return counter
}
