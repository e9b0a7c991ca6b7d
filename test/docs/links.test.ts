import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { anchorsOf, linksOf, read, readPages, withoutCode } from './pages.ts'

const root = join(import.meta.dirname, '../..')
const pages = await readPages()
const find = (path: string) => pages.find(page => page.path === path)

describe('every Markdown file', () => {
  test.each(pages.map(page => [page.path, page] as const))(
    '%s links to files that exist',
    async (_path, page) => {
      const missing: string[] = []
      for (const { link, target } of linksOf(page))
        await access(join(root, target)).catch(() => missing.push(link))
      expect(missing).toEqual([])
    }
  )

  test.each(pages.map(page => [page.path, page] as const))(
    '%s links to headings that exist',
    (_path, page) => {
      const missing = linksOf(page).filter(({ target, anchor }) => {
        const found = find(target)
        return anchor !== '' && !(found && anchorsOf(found.text).includes(anchor))
      })
      expect(missing).toEqual([])
    }
  )
})

test('the link check finds a missing heading and a missing file', () => {
  expect(anchorsOf('# A `b`: c-d, e!\n\n## Twice\n\n## Twice\n')).toEqual(['a-b-c-d-e', 'twice', 'twice-1'])
  const text = 'See [a](b.md#c), [d](#e) and `[not](code)`.'
  expect(linksOf({ path: 'docs/x.md', text })).toEqual([
    { link: 'b.md#c', target: 'docs/b.md', anchor: 'c' },
    { link: '#e', target: 'docs/x.md', anchor: 'e' }
  ])
})

test('every page of docs is linked from the README', () => {
  const readme = find('README.md')
  const linked = new Set(readme ? linksOf(readme).map(({ target }) => target) : [])
  const guides = pages.map(({ path }) => path).filter(path => /^docs\/[^/]+\.md$/.test(path))
  expect(guides.length).toBeGreaterThan(5)
  expect(guides.filter(path => !linked.has(path))).toEqual([])
})

test('the README has at most 1,000 words', async () => {
  const words = (await read('README.md')).split(/\s+/).filter(word => /[\p{L}\p{N}]/u.test(word))
  expect(words.length).toBeLessThanOrEqual(1000)
})

test('the README and docs do not mention aims', () => {
  const shown = pages.filter(({ path }) => /^(README\.md|docs\/[^/]+\.md)$/.test(path))
  expect(
    shown.filter(({ text }) => /\bmissed\b|\baims?\b/i.test(withoutCode(text))).map(({ path }) => path)
  ).toEqual([])
})
