import { basename } from 'node:path'
import { describe, expect, test } from 'vitest'
import { filesUnder, namesIn, read } from './sources.ts'

const FOLDERS = ['src', 'plugins', 'handlers', 'schema', 'cli', 'clients/typescript/src', 'tools']

// The glossary in CONTRIBUTING.md has the words that replace these.
const RETIRED_WORDS = [
  ...['ending', 'endings', 'bury', 'buries', 'buried', 'heed', 'heeds', 'heeded', 'tell', 'tells', 'told'],
  ...['vain', 'sweep', 'sweeps', 'sweeper', 'relay', 'relays', 'housekeeping', 'foreign'],
  ...['accepted seen', 'keep house', 'give back', 'in hand']
]

const RETIRED_NAMES = ['Which', 'Taken', 'Letter', 'BatchRunner', 'shared']

const RETIRED_FILES = ['src/shared.ts', 'src/streams/streams.ts']

const PUBLIC_NAMES = [
  // This is a variable of MySQL.
  'foreign_key_checks'
]

describe('the names in the sources', () => {
  test('have no retired word in the code', () => {
    const sources = filesUnder(FOLDERS, ['ts']).flatMap(file => retiredIn(file, namesIn(file)))
    const scripts = filesUnder(FOLDERS, ['lua']).flatMap(file => retiredIn(file, namesInScript(file)))
    expect([...sources, ...scripts]).toEqual([])
  })

  test('have no retired word in the names of files', () => {
    const files = filesUnder(FOLDERS, ['ts', 'lua', 'sh'])
    expect(files.length).toBeGreaterThan(300)
    expect(files.filter(file => RETIRED_FILES.includes(file) || hasRetiredWord(basename(file)))).toEqual([])
  })

  test.each([
    ['isEnding', true],
    ['GIVE_BACK', true],
    ['give-back.lua', true],
    ['pending', false],
    ['foreigner', false]
  ])('are compared word by word: %s', (name, retired) => {
    expect(hasRetiredWord(name)).toBe(retired)
  })
})

function retiredIn(file: string, names: Iterable<string>): string[] {
  return [...names]
    .filter(name => RETIRED_NAMES.includes(name) || hasRetiredWord(name))
    .filter(name => !PUBLIC_NAMES.includes(name))
    .map(name => `${file}: ${name}`)
}

function hasRetiredWord(name: string): boolean {
  const words = ` ${wordsOf(name).join(' ')} `
  return RETIRED_WORDS.some(retired => words.includes(` ${retired} `))
}

/** Returns the words of a name in lower case: `give` and `back` for `giveBack`, `GIVE_BACK` and `give-back`. */
function wordsOf(name: string): string[] {
  const words = name.split(/[^\p{L}]+|(?<=\p{Ll})(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/u)
  return words.map(word => word.toLowerCase())
}

/** Returns every word of a Lua script that is not in a comment or a text. */
function namesInScript(file: string): Set<string> {
  const code = read(file).replaceAll(/--.*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g, '')
  return new Set(code.match(/[A-Za-z_]\w*/g))
}
