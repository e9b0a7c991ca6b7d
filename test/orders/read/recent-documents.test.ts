import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createRecentDocuments } from '../../../src/orders/read/recent-documents.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

const HOUR = 3_600_000

test('a document is kept for ten seconds, however often it is read', () => {
  const recent = createRecentDocuments(HOUR)
  recent.keep('a', 'document of a')
  let reads = 0
  while (recent.get('a') === 'document of a') {
    reads++
    vi.advanceTimersByTime(100)
  }
  expect(recent.get('a')).toBeUndefined()
  expect(reads).toBe(100)
})

test('a document is kept for at most half of its TTL in Redis', () => {
  const recent = createRecentDocuments(1000)
  for (let at = 0; at < 5000; at += 50) {
    recent.keep(String(at), 'document')
    vi.advanceTimersByTime(50)
    expect(recent.get(String(at))).toBe('document')
    expect(recent.get(String(at - 450))).toBeUndefined()
  }
})

test('a document that was not read for a long time is not returned at the next read', () => {
  const recent = createRecentDocuments(HOUR)
  recent.keep('a', 'document of a')
  vi.advanceTimersByTime(HOUR)
  expect(recent.get('a')).toBeUndefined()
})

test('the memory holds the latest 10,000 documents and never more than twice as many', () => {
  const recent = createRecentDocuments(HOUR)
  const ids = Array.from({ length: 45_678 }, (_, index) => `order-${index}`)
  for (const id of ids) recent.keep(id, id)
  expect(ids.slice(-10_000).map(recent.get)).toEqual(ids.slice(-10_000))
  const held = ids.filter(id => recent.get(id) !== undefined)
  expect(held.length).toBeLessThanOrEqual(20_000)
})

test('the memory keeps only the ids, and not the URLs that contained them', () => {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const recent = createRecentDocuments(HOUR)
  collect()
  const before = process.memoryUsage().heapUsed
  for (let number = 100; number < 200; number++) {
    const url = `/orders/an-order-with-number-${number}?x=${'y'.repeat(1_000_000)}`
    recent.keep(url.slice('/orders/'.length, url.indexOf('?')), 'document')
  }
  collect()
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(20_000_000)
  expect(recent.get('an-order-with-number-123')).toBe('document')
})
