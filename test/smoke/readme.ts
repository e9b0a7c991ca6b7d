import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

const readme = join(import.meta.dirname, '../../README.md')

/** A command of the README, and the JSON that the README shows as its answer. */
export interface Example {
  command: string
  answer: unknown
}

/** Fields whose values differ from run to run. All other values must be as the README shows them. */
const VARIES = new Set([
  'timestamp',
  'created_at',
  'updated_at',
  'processed_at',
  'uptime',
  'rss',
  'heapUsed',
  'total_commands_processed',
  'instantaneous_ops_per_sec'
])

/**
 * Reads the curl commands of the section "Try it" with their answers.
 * @throws when the section is missing, or a command has no answer.
 */
export async function examples(): Promise<Example[]> {
  const text = await readFile(readme, 'utf8').catch(() => {
    throw new Error('README.md is missing')
  })
  const section = /^## Try it$\n(.*?)(?=^## |$(?![\s\S]))/ms.exec(text)?.[1]
  if (section === undefined) throw new Error('README.md has no section "## Try it"')
  const found: Example[] = []
  let command: string | undefined
  for (const [, language, code = ''] of section.matchAll(/^```(\w*)\n(.*?)^```$/gms)) {
    if (language === 'sh' && /\bcurl\b/.test(code)) {
      if (command !== undefined) throw new Error(`README.md shows no answer to: ${command}`)
      command = code.trim()
    } else if (language === 'json' && command !== undefined) {
      found.push({ command, answer: JSON.parse(code) })
      command = undefined
    }
  }
  if (command !== undefined) throw new Error(`README.md shows no answer to: ${command}`)
  return found
}

/** Lists where an answer differs from the shown answer: in keys, in types, and in values that do not vary. */
export function differences(shown: unknown, got: unknown, at = ''): string[] {
  if (isObject(shown) && isObject(got)) {
    const keys = new Set([...Object.keys(shown), ...Object.keys(got)])
    return [...keys].flatMap(key => {
      if (!(key in got)) return [`${at}/${key} is missing`]
      if (!(key in shown)) return [`${at}/${key} is not shown`]
      const varies = VARIES.has(key) && typeof shown[key] === typeof got[key]
      return varies ? [] : differences(shown[key], got[key], `${at}/${key}`)
    })
  }
  const [expected, actual] = [JSON.stringify(shown), JSON.stringify(got)]
  return expected === actual ? [] : [`${at} is ${actual}, not ${expected}`]
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
