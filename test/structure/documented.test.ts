import { expect, test } from 'vitest'
import { filesUnder, GENERATED, read, SOURCE_FOLDERS } from './sources.ts'

const EXPORTED =
  /^export (?:default )?(?:async |abstract |declare )*(?:function|class|interface|type|enum)\*?(?! ?\{) ?(?<name>\w*)/gm

test('every exported function, class and type has a docblock', () => {
  const files = filesUnder(SOURCE_FOLDERS, ['ts']).filter(file => !GENERATED.includes(file))
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
