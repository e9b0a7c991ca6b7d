import { globSync, readFileSync } from 'node:fs'
import { join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The top folder of this repository. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

/** The folders of the sources, without the tests. */
export const SOURCE_FOLDERS = [
  'src',
  'plugins',
  'handlers',
  'schema',
  'cli',
  'clients/typescript/src',
  'tools',
  'examples'
]

/** The files that a program has written. */
export const GENERATED = ['clients/typescript/src/openapi.ts']

/** Returns the files under the folders with one of the extensions, as sorted paths from the top folder. */
export function filesUnder(folders: string[], extensions: string[]): string[] {
  return folders
    .flatMap(folder => extensions.map(extension => `${folder}/**/*.${extension}`))
    .flatMap(pattern => globSync(pattern, { cwd: root }))
    .sort()
}

/** Returns the text of a file. `file` is a path from the top folder. */
export function read(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

/** One import of a source file. */
export interface Import {
  from: string
  /** A path from the top folder, or the name of a package. */
  to: string
}

// The tokens of TypeScript that this file needs: comments, texts, regular expressions and words.
const COMMENT = /\/\*[\s\S]*?\*\/|\/\/[^\n]*/
const TEXT = /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\[\s\S])*`/
const EXPRESSION = /(?<=[(,=:[!&|?{};]\s*)\/(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/
const TOKEN = new RegExp(
  `(?<comment>${COMMENT.source})|(?<text>${TEXT.source})|(?<expression>${EXPRESSION.source})|(?<word>[\\p{L}_$][\\p{L}\\d_$]*)`,
  'gu'
)

/** Returns the imports of a file, including dynamic imports and imports of types. */
export function importsOf(file: string): Import[] {
  const found: Import[] = []
  let previous = ''
  for (const { groups = {} } of read(file).matchAll(TOKEN)) {
    if (groups.comment) continue
    if (groups.text && (previous === 'from' || previous === 'import'))
      found.push({ from: file, to: resolve(file, groups.text.slice(1, -1)) })
    previous = groups.word ?? ''
  }
  return found
}

/** Returns the names in a file: every word that is not in a comment, a text or a regular expression. */
export function namesIn(file: string): Set<string> {
  const words = [...read(file).matchAll(TOKEN)].flatMap(({ groups }) => groups?.word ?? [])
  return new Set(words)
}

function resolve(file: string, specifier: string): string {
  return specifier.startsWith('.') ? normalize(join(file, '..', specifier)) : specifier
}
