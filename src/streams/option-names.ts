import { FunctionSettings } from '../../schema/config/function.ts'
import { editDistance } from './edit-distance.ts'

/** The options of a function. An option may have options of its own. */
type Properties = Record<string, { properties?: Record<string, unknown> }>
const KNOWN = FunctionSettings.properties as Properties

/** The full name of every option, such as `batch.size`. */
const NAMES = Object.entries(KNOWN).flatMap(([name, { properties = {} }]) => [
  name,
  ...Object.keys(properties).map(part => `${name}.${part}`)
])

/** Returns one sentence for each unknown option of `app.consume`, with the option that was probably meant. */
export function unknownOptions(given: object): string[] {
  const names = Object.entries(given).flatMap(([name, value]) => {
    if (!Object.hasOwn(KNOWN, name)) return [name]
    const { properties } = KNOWN[name] as Properties[string]
    if (!properties || typeof value !== 'object' || value === null) return []
    return Object.keys(value)
      .filter(part => !Object.hasOwn(properties, part))
      .map(part => `${name}.${part}`)
  })
  return names.map(
    name =>
      `${name} is not an option. The nearest one is ${nearest(name)}. The options are ${optionNames(NAMES)}.`
  )
}

/** Joins names to a list for a sentence. */
export function optionNames(names: string[]): string {
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}

/**
 * Returns the option with the most similar name. Ignores dots and capitals, and also compares the last parts:
 * `batchSize` and `size` mean `batch.size`.
 */
function nearest(name: string): string {
  const distance = (known: string) => {
    const parts = [known, known.split('.').at(-1) as string].map(plain)
    const own = [name, name.split('.').at(-1) as string].map(plain)
    return Math.min(...parts.flatMap(part => own.map(text => editDistance(text, part))))
  }
  return NAMES.reduce((best, known) => (distance(known) < distance(best) ? known : best))
}

function plain(name: string): string {
  return name.replaceAll(/[^A-Za-z]/g, '').toLowerCase()
}
