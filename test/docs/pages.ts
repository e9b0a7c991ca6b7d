import { glob, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/** Folders whose Markdown the tests skip. */
const SKIPPED = new Set(['node_modules', '.git', '.local'])

/** One Markdown file: its path from the top of the repository, and its text. */
export interface Page {
  path: string
  text: string
}

/** Reads a file by its path from the top of the repository. */
export function read(path: string): Promise<string> {
  return readFile(join(root, path), 'utf8')
}

/** Reads every Markdown file of the repository. */
export async function readPages(): Promise<Page[]> {
  const found = glob('**/*.md', { cwd: root, exclude: path => SKIPPED.has(basename(path)) })
  const paths = (await Array.fromAsync(found)).toSorted()
  return Promise.all(paths.map(async path => ({ path, text: await read(path) })))
}

/** The text without its code blocks and its inline code. */
export function withoutCode(text: string): string {
  return text.replace(/^```.*?^```$/gms, '').replace(/`[^`\n]*`/g, '')
}

/** The code blocks in one language. */
export function blocksOf(text: string, language: string): string[] {
  const blocks = text.matchAll(/^```(\w+)\n(.*?)^```$/gms)
  return [...blocks].filter(([, found]) => found === language).map(([, , code = '']) => code)
}

/** The commands of a page: the lines of its `sh` blocks, and inline code that begins with a program. */
export function commandsOf(text: string): string[] {
  const lines = blocksOf(text, 'sh').flatMap(code => code.trim().split('\n'))
  const inline = text
    .replace(/^```.*?^```$/gms, '')
    .matchAll(/`((?:npm|npx|node|docker|curl|redis-cli) [^`]+)`/g)
  return [...new Set([...lines, ...[...inline].map(([, command = '']) => command)])]
}

/** The anchors that GitHub derives from the headings of a page. */
export function anchorsOf(text: string): string[] {
  const counts = new Map<string, number>()
  const headings = text.replace(/^```.*?^```$/gms, '').matchAll(/^#{1,6} (.+)$/gm)
  return [...headings].map(([, heading = '']) => {
    const anchor = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-')
    const count = counts.get(anchor) ?? 0
    counts.set(anchor, count + 1)
    return count === 0 ? anchor : `${anchor}-${count}`
  })
}

/** The links of a page to files and anchors of the repository. */
export function linksOf({ path, text }: Page): { link: string; target: string; anchor: string }[] {
  const links = withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)
  return [...links]
    .map(([, link = '']) => link)
    .filter(link => !/^[a-z]+:/.test(link))
    .map(link => {
      const [file = '', anchor = ''] = link.split('#')
      return { link, target: file === '' ? path : join(dirname(path), file), anchor }
    })
}

/** The cells of the table with this head, row by row, without the line below the head. */
export function rowsUnder(text: string, head: string): string[][] {
  const [, table = ''] = text.split(`${head}\n`)
  const end = table.search(/\n(?!\|)/)
  const lines = table
    .slice(0, end === -1 ? undefined : end)
    .split('\n')
    .slice(1)
  return lines.map(line =>
    line
      .split('|')
      .map(cell => cell.trim())
      .slice(1, -1)
  )
}
