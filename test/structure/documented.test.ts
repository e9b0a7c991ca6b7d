import { expect, test } from 'vitest'
import { filesUnder, read } from './sources.ts'

// Areas that are still to be documented.
const MISSING_IN = ['examples/', 'schema/', 'src/']

const EXPORTED =
  /^export (?:default )?(?:async |abstract |declare )*(?:function|class|interface|type|enum)\*? ?(?<name>\w*)/gm

test('every exported function, class and type has a docblock', () => {
  const files = filesUnder(['src', 'plugins', 'handlers', 'schema', 'cli', 'tools', 'examples'], ['ts'])
  expect(files.filter(file => !isExcused(file)).flatMap(undocumented)).toEqual([])
})

function undocumented(file: string): string[] {
  const text = read(file)
  return [...text.matchAll(EXPORTED)]
    .filter(({ index }) => !text.slice(0, index).endsWith('*/\n'))
    .map(({ groups }) => `${file}: ${groups?.name || 'default'}`)
}

function isExcused(file: string): boolean {
  return MISSING_IN.some(area => file.startsWith(area))
}
