import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import {
  type ClientRequest,
  createServer,
  type IncomingMessage,
  request,
  type ServerResponse
} from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { DEFAULT_TENANT } from '../../schema/http/key.ts'
import type { OrderResult } from '../../schema/http/order-batch.ts'
import { Batch } from '../../src/http/batch/batch.ts'
import { BatchMemory } from '../../src/http/batch/batch-memory.ts'
import { createLines } from '../../src/http/batch/lines.ts'
import { createOrderCheck } from '../../src/http/batch/read-order.ts'
import { linesOf, openApp, type TestApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'

const space = await useSpace()
const KILOBYTE = 1024
/** The room of all batches in these tests, and what each batch may hold anyway (characters). */
const [MOST, ALWAYS] = [256 * KILOBYTE, 64 * KILOBYTE]
/** The results of so many orders need much more than that. */
const ORDERS = 5000
const CLIENTS = 4

let api: TestApp
beforeAll(async () => {
  api = await openApp(space, 'api')
})
afterAll(() => api.close())

/** A client that has sent a batch, and reads nothing yet. */
interface Client {
  request: ClientRequest
  response: Promise<IncomingMessage>
}

/** A server of batches with a memory of their own. */
interface BatchServer {
  memory: BatchMemory
  batches: Batch[]
  /** The reasons why batches were cut off. */
  cuts: string[]
  /** Sends a batch of which `missing` bytes never arrive. */
  send: (body: string, missing?: number) => Client
}

/**
 * Serves batches on a local socket: its buffers in the system are much smaller than those of a TCP connection. `beforeRun`
 * runs between the arrival of the first order and its acceptance.
 */
async function serveBatches(
  patience: number,
  beforeRun: (response: ServerResponse) => Promise<unknown> = async () => {}
): Promise<BatchServer> {
  const [memory, batches, cuts]: [BatchMemory, Batch[], string[]] = [new BatchMemory(MOST), [], []]
  const origin = { tenant: DEFAULT_TENANT, requestId: 'batch', traceparent: '' }
  const problem = { type: 'about:blank', title: 'late', detail: '', instance: '/', error_id: '' }
  const serve = async (body: IncomingMessage, response: ServerResponse) => {
    const batch = new Batch({
      body,
      splitter: createLines(KILOBYTE),
      recovers: true,
      count: () => undefined,
      check: createOrderCheck(),
      accept: order => api.app.orders.intake.accept(order, origin),
      memory,
      toProblem: () => ({ ...problem, status: 408 }),
      logCut: reason => cuts.push(reason),
      representation: false,
      limit: Number.POSITIVE_INFINITY,
      patience
    })
    batches.push(batch)
    await batch.begin()
    await beforeRun(response)
    batch.run(response)
  }
  const dir = await mkdtemp(join(tmpdir(), 'orderstream-batches-'))
  const server = createServer((body, response) => void serve(body, response)).listen(join(dir, 'socket'))
  await once(server, 'listening')
  onTestFinished(async () => {
    server.closeAllConnections()
    server.close()
    await rm(dir, { recursive: true })
  })
  return {
    memory,
    batches,
    cuts,
    send: (body, missing = 0) => {
      const headers = { 'content-length': body.length + missing }
      const client = request({ socketPath: join(dir, 'socket'), method: 'POST', headers, agent: false })
      client.on('error', () => {})
      client.write(body)
      const response = once(client, 'response').then(([answer]) => answer as IncomingMessage)
      response.catch(() => {})
      return { request: client, response }
    }
  }
}

const ordersOf = (prefix: string, count = ORDERS) =>
  Array.from(
    { length: count },
    (_, n) => `{"order_id":"${prefix}-${'x'.repeat(80)}-${n}","amount":1}\n`
  ).join('')

const ALL = Array.from({ length: ORDERS }, (_, index) => [index, 202])
const read = async ({ response }: Client) =>
  linesOf<OrderResult>(await text(await response)).map(({ index, status }) => [index, status])

test('batches whose clients do not read share one room, and each goes on when its own client reads', async () => {
  const { memory, send, cuts } = await serveBatches(10_000)
  const clients = Array.from({ length: CLIENTS }, (_, n) => send(ordersOf(`shared-${n}`)))
  const room = async () => {
    await until('no room is left', () => memory.held >= MOST)
    expect(memory.held).toBeLessThan(MOST + (CLIENTS + 1) * ALWAYS)
  }
  await room()
  expect(await read(clients[0] as Client)).toEqual(ALL)
  await room()
  const others = await Promise.all(clients.slice(1).map(read))
  expect(others).toEqual(others.map(() => ALL))
  await until('nothing is held', () => memory.held === 0)
  expect(cuts).toEqual([])
})

test('a batch that waits for room goes on when other batches hold less, without a reader', async () => {
  const { memory, batches, send } = await serveBatches(10_000)
  memory.add(2 * MOST)
  const client = send(ordersOf('woken'))
  await until('the batch has what it may always hold', () => memory.held >= 2 * MOST + ALWAYS)
  const accepted = () => batches[0]?.counts.accepted ?? 0
  expect(accepted()).toBeLessThan(ORDERS)
  // All results have room then.
  memory.add(-9 * MOST)
  await until('all orders are accepted', () => accepted() === ORDERS)
  expect(await read(client)).toEqual(ALL)
})

test('a client that reads nothing while there is no room is cut off, and nothing is held for it', async () => {
  const { memory, cuts, batches, send } = await serveBatches(500)
  memory.add(MOST)
  const client = send(ordersOf('unread'))
  await until('the client is cut off', () => cuts.length > 0)
  expect(cuts).toEqual(['the client reads no results'])
  expect(batches[0]?.counts.accepted).toBeLessThan(ORDERS)
  await expect(read(client)).rejects.toThrow()
  await until('nothing is held for it', () => memory.held === MOST)
})

test('a batch whose connection is cut before its results begin ends without them', async () => {
  const begun = Promise.withResolvers<void>()
  const closed = Promise.withResolvers<void>()
  const { memory, batches, cuts, send } = await serveBatches(300, async response => {
    response.once('close', closed.resolve)
    begun.resolve()
    await closed.promise
  })
  const client = send(ordersOf('gone', 1), 1)
  await begun.promise
  client.request.destroy()
  await closed.promise
  // The results of this batch end when its time is up. The first batch would be cut off before that.
  const other = await serveBatches(300)
  expect(await read(other.send(ordersOf('late', 1), 1))).toEqual([
    [0, 202],
    [1, 408]
  ])
  expect([cuts, memory.held, batches[0]?.counts.accepted]).toEqual([[], 0, 0])
})
