import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EventCursor } from '../../../src/orders/watch/event-cursor.ts'
import { EventWindow } from '../../../src/orders/watch/event-window.ts'
import { readPositions, START, writePositions } from '../../../src/streams/fan-out/positions.ts'

const PARTITIONS = 3
const NEWEST = 1_000_000
const ALL = { tenant: 'default', status: undefined, customerId: undefined }

/** A process that reads the log: its window, and the position of each partition. */
function startProcess(most = { items: 1000, bytes: 1_000_000 }) {
  const window = new EventWindow(most)
  const heads = Array.from({ length: PARTITIONS }, () => START)
  for (const partition of heads.keys()) window.setSince(partition, START)
  const add = ({ partition, ms, order }: LogEvent) => {
    const position = `${ms}-0`
    heads[partition] = position
    window.add({
      kind: 'event',
      id: `${order}:completed`,
      identity: `${order}`,
      status: 'completed',
      document: `{"order_id":"${order}"}`,
      tenant: 'default',
      partition,
      position,
      positions: writePositions(heads)
    })
  }
  const follow = (after: string | undefined) =>
    new EventCursor({
      window,
      heads,
      filter: ALL,
      after: after === undefined ? undefined : (readPositions(after, PARTITIONS) ?? 'unknown'),
      onPause: () => {}
    })
  return { window, add, follow }
}

interface LogEvent {
  partition: number
  ms: number
  order: number
}

/** A log: events of all partitions in order of time, some of them repeated later. */
const logs = fc
  .array(fc.record({ partition: fc.nat(PARTITIONS - 1), order: fc.nat(40) }), { maxLength: 60 })
  .map(events =>
    events.map(({ order }, index) => ({ partition: order % PARTITIONS, ms: NEWEST + index, order }))
  )

/** Returns the log as a process may read it: in order within each partition, and in any order between them. */
function interleave(log: LogEvent[], picks: number[]): LogEvent[] {
  const queues = Array.from({ length: PARTITIONS }, (_, own) =>
    log.filter(({ partition }) => partition === own)
  )
  const read: LogEvent[] = []
  for (let step = 0; read.length < log.length; step++) {
    const waiting = queues.filter(queue => queue.length > 0)
    const queue = waiting[(picks[step] ?? 0) % waiting.length] as LogEvent[]
    read.push(queue.shift() as LogEvent)
  }
  return read
}

function drain(cursor: EventCursor) {
  cursor.mayMatch(0)
  const events: string[] = []
  let resets = 0
  for (let item = cursor.next(); item; item = cursor.next()) {
    if (item.kind === 'event') events.push(item.event.identity)
    else resets++
  }
  return { events, resets }
}

test('a client that changes the process at any event has each event once', () => {
  const picks = fc.array(fc.nat(2), { maxLength: 60 })
  fc.assert(
    fc.property(logs, picks, picks, fc.nat(60), fc.nat(60), (log, one, other, taken, readBefore) => {
      const first = startProcess()
      const cursor = first.follow(undefined)
      for (const event of interleave(log, one)) first.add(event)
      const had: string[] = []
      while (had.length < taken) {
        const item = cursor.next()
        if (item?.kind !== 'event') break
        had.push(item.event.identity)
      }

      const second = startProcess()
      const order = interleave(log, other)
      for (const event of order.slice(0, readBefore)) second.add(event)
      const resumed = second.follow(cursor.positions())
      const rest = drain(resumed)
      for (const event of order.slice(readBefore)) second.add(event)
      const later = drain(resumed)
      expect(rest.resets + later.resets).toBe(0)
      const orders = new Set(log.map(event => String(event.order)))
      expect([...had, ...rest.events, ...later.events].toSorted()).toEqual([...orders].toSorted())
    }),
    { numRuns: 500 }
  )
})

test('a client that is slower than the window has one reset, and then the newest events', () => {
  const { add, follow } = startProcess({ items: 3, bytes: 1_000_000 })
  const slow = follow(undefined)
  for (let n = 0; n < 10; n++) add({ partition: n % PARTITIONS, ms: NEWEST + n, order: n })
  expect(drain(slow)).toEqual({ events: [], resets: 1 })
  add({ partition: 0, ms: NEWEST + 10, order: 10 })
  expect(drain(slow)).toEqual({ events: ['10'], resets: 0 })
})

test('positions that the window does not cover get a reset, and those that it covers get none', () => {
  const { add, follow } = startProcess({ items: 4, bytes: 1_000_000 })
  for (let n = 0; n < 10; n++) add({ partition: 0, ms: NEWEST + n, order: n })
  const after = (ms: number) => writePositions([`${ms}-0`, START, START])
  expect(drain(follow(after(NEWEST + 4)))).toEqual({ events: [], resets: 1 })
  expect(drain(follow(after(NEWEST + 5)))).toEqual({ events: ['6', '7', '8', '9'], resets: 0 })
  expect(drain(follow(writePositions([`${Date.now() + 3_600_000}-0`, START, START])))).toEqual({
    events: [],
    resets: 1
  })
})

test('a gap resets the clients that follow, and those that resume from before it', () => {
  const { window, add, follow } = startProcess()
  add({ partition: 0, ms: NEWEST, order: 0 })
  const before = follow(undefined)
  const position = before.positions()
  add({ partition: 0, ms: NEWEST + 5, order: 5 })
  window.setSince(0, `${NEWEST + 5}-0`)
  window.add({ kind: 'gap', positions: writePositions([`${NEWEST + 5}-0`, START, START]) })
  expect(drain(before)).toEqual({ events: ['5'], resets: 1 })
  expect(drain(follow(position))).toEqual({ events: [], resets: 1 })
  expect(drain(follow(before.positions()))).toEqual({ events: [], resets: 0 })
})

test('the window has no more bytes than it may have', () => {
  const { window, add } = startProcess({ items: 1000, bytes: 2000 })
  for (let n = 0; n < 100; n++) add({ partition: 0, ms: NEWEST + n, order: n })
  expect(window.end).toBe(100)
  expect(window.end - window.first).toBe(4)
})
