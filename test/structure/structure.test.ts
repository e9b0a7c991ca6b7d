import { dirname } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FLOORS, NARROW } from './rooms.ts'
import { filesUnder, type Import, importsOf, read } from './sources.ts'

const FOLDERS = ['src', 'plugins', 'handlers', 'schema', 'cli', 'tools', 'examples', 'test']
const files = filesUnder(FOLDERS, ['ts'])
const rooms = FLOORS.flat().sort((one, other) => other.length - one.length)

describe('the sources', () => {
  test('all stand in a room', () => {
    expect(files.length).toBeGreaterThan(300)
    expect(files.filter(file => roomOf(file) === undefined)).toEqual([])
  })

  test('import only downwards, and only what their room may', () => {
    const broken = files.flatMap(importsOf).filter(one => !isAllowed(one))
    expect(broken.map(({ from, to }) => `${from} imports ${to}`)).toEqual([])
  })

  test('know of Fastify only its logger below src/http', () => {
    const below = filesUnder(['src/orders', 'src/streams', 'src/stores', 'src/async'], ['ts'])
    const lines = below.flatMap(file => read(file).match(/^import .*'fastify'$/gm) ?? [])
    expect(new Set(lines)).toEqual(new Set(["import type { FastifyBaseLogger } from 'fastify'"]))
  })

  test('have at most 14 files in each folder under src', () => {
    const counts = new Map<string, number>()
    for (const file of filesUnder(['src'], ['*']))
      counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1)
    expect([...counts].filter(([, count]) => count > 14)).toEqual([])
  })

  test('have at most 300 lines in each file, scripts and SQL included', () => {
    const all = filesUnder([...FOLDERS, 'migrations'], ['ts', 'lua', 'sh', 'sql'])
    expect(all.filter(file => read(file).trimEnd().split('\n').length > 300)).toEqual([])
  })
})

function roomOf(path: string): string | undefined {
  // A test may stand beside what it tests.
  if (path.endsWith('.test.ts')) return 'test'
  return rooms.find(room => isWithin(path, room))
}

function isWithin(path: string, room: string): boolean {
  return path === room || path.startsWith(`${room}/`)
}

function isAllowed({ from, to }: Import): boolean {
  const own = roomOf(from) as string
  const other = roomOf(to)
  if (other === undefined || own === other) return true
  return floorOf(own) < floorOf(other) && (NARROW[own]?.some(path => isWithin(to, path)) ?? true)
}

function floorOf(room: string): number {
  return FLOORS.findIndex(floor => floor.includes(room))
}
