import { Big } from 'big.js'

/** A fault in a JSON text: where it is (JSON pointer, RFC 6901), and what is wrong. */
export interface JsonFault {
  pointer: string
  detail: string
}

/** The most faults that are listed, because a body may have a fault every few bytes. */
const MOST_FAULTS = 20

/** A number with this many digits and points may be one that a double does not store exactly. */
const LONG_NUMBER = 16

/** The characters that may stand before a number. */
const BEFORE_NUMBER = new Set([...':,[- \t\n\r'].map(character => character.charCodeAt(0)))

/** One token of valid JSON. White space and the words true, false and null are skipped. */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*|[{}[\],:]/g

/**
 * Finds every fault that parsing hides: a repeated key in an object, a number that loses digits, and a key that would
 * change a prototype. `value` is the parsed `text`. For most texts, counting is enough. Each member of an object has a
 * colon, so with as many colons as keys no key is repeated.
 */
export function findFaults(text: string, value: unknown): JsonFault[] {
  return isPlain(text, value) ? [] : scan(text)
}

function isPlain(text: string, value: unknown): boolean {
  if (typeof value === 'number') return false
  const colons = countColons(text)
  return colons !== undefined && countKeys(value) === colons
}

const COLON = ':'.charCodeAt(0)
const BACKSLASH = '\\'.charCodeAt(0)
const POINT = '.'.charCodeAt(0)
const ZERO = '0'.charCodeAt(0)
const NINE = '9'.charCodeAt(0)

/**
 * Counts the colons in a text. Returns undefined for a text with a backslash: V8 may read an escaped key as another key
 * that contains a backslash, so a repeated key would count as two keys. Returns undefined for a text with a long number,
 * too, or with a string that looks like one. One pass is cheaper than a search for each.
 */
function countColons(text: string): number | undefined {
  let colons = 0
  let digits = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if ((code >= ZERO && code <= NINE) || code === POINT) {
      if (++digits === LONG_NUMBER && BEFORE_NUMBER.has(text.charCodeAt(at - LONG_NUMBER))) return undefined
      continue
    }
    digits = 0
    if (code === COLON) colons++
    else if (code === BACKSLASH) return undefined
  }
  return colons
}

/**
 * Counts the keys of all objects in a value. Returns -1 for a suspicious key. It is not recursive, because the value
 * may be deep.
 */
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

/** An object or an array around the current token, and the position in it. */
interface Level {
  /** The keys of an object so far; undefined for an array. */
  keys: Set<string> | undefined
  at: string | number
  /** Whether the next string is a key. */
  expectsKey: boolean
}

/** Checks every token of a valid JSON text. */
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

/** Returns why a string is not allowed here as a key; undefined when it is allowed, or is a value. */
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

/**
 * Returns why a number cannot be used as it is written. Returns undefined when a double stores every digit, or when the
 * number is infinite.
 */
function faultOfNumber(token: string): string | undefined {
  const value = Number(token)
  // The bounds of the schema refuse an infinite number.
  if (token.length < 16 || !Number.isFinite(value) || new Big(token).eq(value)) return undefined
  return `the number has more digits than can be kept: it would be read as ${value}`
}

function pointerOf(path: Level[]): string {
  return path.map(({ at }) => `/${String(at).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}
