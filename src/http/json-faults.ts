import { Big } from 'big.js'

/** What is wrong at one place of a JSON text: where (JSON pointer, RFC 6901), and why. */
export interface JsonFault {
  pointer: string
  detail: string
}

/** Most faults that are listed: a body may have one for every few bytes. */
const MOST_FAULTS = 20

/**
 * A number that a double may not hold as it is written: that takes more than 15 digits, and such a number has 16 characters
 * of digits and point in a row, behind one of these unless it is the whole text. What stands in a string may look the same,
 * and costs a closer look.
 */
const LONG_NUMBER = /[:,[\s-][\d.]{16}/

/** One token of a text that is valid JSON; white space and the words true, false and null are skipped. */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*|[{}[\],:]/g

/**
 * Every fault that parsing hides: a key that stands twice in an object, a number that loses digits, a key that would
 * reach a prototype. `value` is what `text` parses to. The plain text is passed by counts alone: one that has no more
 * colons than keys has no key twice, since each of its members has a colon.
 */
export function findFaults(text: string, value: unknown): JsonFault[] {
  return isPlain(text, value) ? [] : scan(text)
}

function isPlain(text: string, value: unknown): boolean {
  // V8 may take an escaped key for another one, whose text has a backslash, and so count a key that appears twice as two.
  if (typeof value === 'number' || text.includes('\\')) return false
  return countKeys(value) === countColons(text) && !LONG_NUMBER.test(text)
}

function countColons(text: string): number {
  let count = 0
  for (let at = text.indexOf(':'); at !== -1; at = text.indexOf(':', at + 1)) count++
  return count
}

/** The keys of all objects in a parsed value; -1 when one of them is suspicious by itself. No call per level: it may be deep. */
function countKeys(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  let count = 0
  const open: object[] = [value]
  for (let next = open.pop(); next; next = open.pop()) {
    if (Array.isArray(next)) {
      for (const item of next) if (typeof item === 'object' && item !== null) open.push(item)
      continue
    }
    for (const key in next) {
      if (key === '__proto__' || key === 'constructor') return -1
      count++
      const member = (next as Record<string, unknown>)[key]
      if (typeof member === 'object' && member !== null) open.push(member)
    }
  }
  return count
}

/** An object or an array that the scan is in, and where in it. */
interface Level {
  /** The keys of an object so far; undefined for an array. */
  keys: Set<string> | undefined
  at: string | number
  /** Whether the next string is a key. */
  expectsKey: boolean
}

/** Looks at every token of a valid JSON text. */
function scan(text: string): JsonFault[] {
  const faults: JsonFault[] = []
  const path: Level[] = []
  for (const [token] of text.matchAll(TOKEN)) {
    const level = path.at(-1)
    if (token === '{') path.push({ keys: new Set(), at: '', expectsKey: true })
    else if (token === '[') path.push({ keys: undefined, at: 0, expectsKey: false })
    else if (token === '}' || token === ']') path.pop()
    else if (token === ',') advance(level as Level)
    else if (token === ':') (level as Level).expectsKey = false
    else {
      const detail = token[0] === '"' ? faultOfString(token, path) : faultOfNumber(token)
      if (detail !== undefined) faults.push({ pointer: pointerOf(path), detail })
      if (faults.length === MOST_FAULTS) break
    }
  }
  return faults
}

function advance(level: Level): void {
  if (level.keys) level.expectsKey = true
  else level.at = (level.at as number) + 1
}

/** Why a string may not stand here as a key; undefined when it may, or is a value. */
function faultOfString(token: string, path: Level[]): string | undefined {
  const level = path.at(-1)
  if (!level?.keys || !level.expectsKey) return undefined
  const key = JSON.parse(token) as string
  level.at = key
  if (level.keys.has(key)) return `the key ${key} appears more than once`
  level.keys.add(key)
  if (key === '__proto__') return 'the key __proto__ is not allowed'
  return key === 'prototype' && path.at(-2)?.at === 'constructor'
    ? 'the key prototype is not allowed in constructor'
    : undefined
}

/** Why a number cannot be taken as it is written; undefined when a double holds it to the last digit, or is infinite. */
function faultOfNumber(token: string): string | undefined {
  const value = Number(token)
  // What is beyond all bounds is refused by those of the schema.
  if (token.length < 16 || !Number.isFinite(value) || new Big(token).eq(value)) return undefined
  return `the number has more digits than can be kept: it would be read as ${value}`
}

function pointerOf(path: Level[]): string {
  return path.map(({ at }) => `/${String(at).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}
