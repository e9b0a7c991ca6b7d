import { dirname } from 'node:path'
import { describe, expect, test } from 'vitest'
import { LAYERS, RESTRICTED } from './layers.ts'
import { filesUnder, GENERATED, type Import, importsOf, read, SOURCE_FOLDERS } from './sources.ts'

const FOLDERS = [...SOURCE_FOLDERS, 'test']
const files = filesUnder(FOLDERS, ['ts'])
const longestFirst = LAYERS.flat().sort((one, other) => other.length - one.length)

describe('the sources', () => {
  test('are in the folder of a layer', () => {
    expect(files.length).toBeGreaterThan(300)
    expect(files.filter(file => folderOf(file) === undefined)).toEqual([])
  })

  test('import only from lower layers, and only what their folder may import', () => {
    const broken = files.flatMap(importsOf).filter(one => !isAllowed(one))
    expect(broken.map(({ from, to }) => `${from} imports ${to}`)).toEqual([])
  })

  test('use only the logger type of Fastify below src/http', () => {
    const below = filesUnder(
      ['src/auth', 'src/admin', 'src/idempotency', 'src/orders', 'src/streams', 'src/stores', 'src/async'],
      ['ts']
    )
    const lines = below.flatMap(file => read(file).match(/^import .*'fastify'$/gm) ?? [])
    expect(new Set(lines)).toEqual(new Set(["import type { FastifyBaseLogger } from 'fastify'"]))
  })

  test('have no marks of a merge conflict, and neither have the documents', () => {
    const folders = [...FOLDERS, 'docs', 'migrations']
    const pages = ['README.md', 'CONTRIBUTING.md', 'docker-compose.yml', 'package.json']
    const marked = [...filesUnder(folders, ['*']), ...pages].filter(file => /^(<{7}|>{7}) /m.test(read(file)))
    expect(marked).toEqual([])
  })

  test('have at most 14 files in each folder under src', () => {
    const counts = new Map<string, number>()
    for (const file of filesUnder(['src'], ['*']))
      counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1)
    expect([...counts].filter(([, count]) => count > 14)).toEqual([])
  })

  test('have at most 300 lines in each file, scripts and SQL included', () => {
    const all = filesUnder([...FOLDERS, 'migrations'], ['ts', 'lua', 'sh', 'sql']).filter(
      file => !GENERATED.includes(file)
    )
    expect(all.filter(file => read(file).trimEnd().split('\n').length > 300)).toEqual([])
  })
})

function folderOf(path: string): string | undefined {
  // A test may be in the same folder as the code that it tests.
  if (path.endsWith('.test.ts')) return 'test'
  return longestFirst.find(folder => isWithin(path, folder))
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`)
}

function isAllowed({ from, to }: Import): boolean {
  const own = folderOf(from) as string
  const other = folderOf(to)
  if (other === undefined || own === other) return true
  return layerOf(own) < layerOf(other) && (RESTRICTED[own]?.some(path => isWithin(to, path)) ?? true)
}

function layerOf(folder: string): number {
  return LAYERS.findIndex(layer => layer.includes(folder))
}
