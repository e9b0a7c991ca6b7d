import { expect, test } from 'vitest'
import { filesUnder, read } from './sources.ts'

const EXPORTED =
  /^export (?:default )?(?:async |abstract |declare )*(?:function|class|interface|type|enum)\*?(?! ?\{) ?(?<name>\w*)/gm

test('every exported function, class and type has a docblock', () => {
  const folders = [
    'src',
    'plugins',
    'handlers',
    'schema',
    'cli',
    'clients/typescript/src',
    'tools',
    'examples'
  ]
  const files = filesUnder(folders, ['ts']).filter(file => file !== 'clients/typescript/src/openapi.ts')
  expect(files.flatMap(undocumented)).toEqual([])
})

function undocumented(file: string): string[] {
  const text = read(file)
  return (
    [...text.matchAll(EXPORTED)]
      .filter(({ index }) => !text.slice(0, index).endsWith('*/\n'))
      // The docblock of a schema also documents its type.
      .filter(({ index }) => !/^export type (\w+) = Static<typeof \1>/.test(text.slice(index)))
      .map(({ groups }) => `${file}: ${groups?.name || 'default'}`)
  )
}
