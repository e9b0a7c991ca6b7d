import { readFileSync } from 'node:fs'
import { expect, inject, onTestFinished, test } from 'vitest'
import { inParallel, type Service, startService } from '../harness/service.ts'
import { openSpace, PATIENT, type Space, until } from '../harness/space.ts'
import { keyOf } from './evidence.ts'
import { byLength } from './long.ts'
import { openWaiting, requestOf, sendOrders, type WaitingClient } from './waiting-clients.ts'

/** The number of requests that wait, and of streams. */
const CLIENTS = byLength(300, 4000)
/** The longest time from the completion of an order to its answer, for 99 of 100 clients (ms). */
const LONGEST = 1000
/**
 * The most processor time of an accept with waiting clients, as a multiple of that without them. A short run beside other
 * tests measures it only roughly.
 */
const MOST_WORK = byLength(2.5, 1.11)
const [ROUNDS, ROUND_TIME] = byLength([2, 700], [3, 3000])
const ENV = { ...PATIENT, RATE_LIMIT_MAX: '0', MAX_BACKLOG: '10000000' }

/** Each test has a space of its own, because a position of a stream is covered only by the newest events. */
async function openOwnSpace(): Promise<Space> {
  const space = await openSpace(inject('stores'))
  onTestFinished(() => space.close())
  return space
}

const portOf = ({ url }: Service) => Number(new URL(url).port)
const memoryOf = ({ pid }: Service) =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])

/** The processor time of a process (µs). The kernel counts it in hundredths of a second. */
function processorTimeOf({ pid }: Service): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

function percentile(values: number[], part: number): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(values.length * part) - 1] as number
}

/** Opens a connection for each customer, and sends the request that `bytesOf` returns. */
async function openAll(port: number, bytesOf: (n: number) => string): Promise<WaitingClient[]> {
  const clients: WaitingClient[] = []
  await inParallel([...Array(CLIENTS).keys()], 64, async n => {
    clients[n] = await openWaiting(port, bytesOf(n))
  })
  return clients
}

const streamOf = (customer: string, headers: Record<string, string> = {}) =>
  requestOf(`GET /order-events?customer_id=${customer}`, headers)

const orderOf = (id: string, customer: string, headers: Record<string, string> = {}) =>
  requestOf(
    'POST /orders',
    { 'content-type': 'application/json', ...headers },
    JSON.stringify({ order_id: id, amount: 12.5, customer_id: customer })
  )

/** Measures accepts: orders per second, and the processor time of one in the service (µs). The median of some rounds. */
async function measureAccepts(api: Service): Promise<{ speed: number; work: number }> {
  const speeds: number[] = []
  const works: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const before = processorTimeOf(api)
    const { accepted, seconds } = await sendOrders(portOf(api), 32, ROUND_TIME)
    speeds.push(accepted / seconds)
    works.push((processorTimeOf(api) - before) / accepted)
  }
  return { speed: percentile(speeds, 0.5), work: percentile(works, 0.5) }
}

const waitingAt = async ({ url }: Service) => {
  const metrics = await (await fetch(`${url}/metrics`, { headers: { accept: 'text/plain' } })).text()
  return Number(/^orderstream_waiting_clients (\d+)$/m.exec(metrics)?.[1])
}

test('thousands of waiting clients get each order at once, and slow nothing down', {
  timeout: 600_000
}, async () => {
  const space = await openOwnSpace()
  const api = await startService(space, 'api', ENV)
  const port = portOf(api)
  const worker = await startService(space, 'worker', ENV)
  process.kill(worker.pid, 'SIGSTOP')
  await measureAccepts(api)
  const alone = await measureAccepts(api)
  process.kill(worker.pid, 'SIGCONT')
  const queue = keyOf(space, 'placed')
  await until('no order waits', async () => (await space.redis.xlen(queue)) === 0, 300_000)
  process.kill(worker.pid, 'SIGSTOP')
  const before = memoryOf(api)
  const streams = await openAll(port, n => streamOf(`order-${n}`))
  const waits = await openAll(port, n => orderOf(`order-${n}`, `order-${n}`, { prefer: 'wait=60' }))
  await until('all wait', async () => (await waitingAt(api)) === 2 * CLIENTS, 60_000)
  const bytes = ((memoryOf(api) - before) * 1024) / (2 * CLIENTS)
  const withClients = await measureAccepts(api)

  process.kill(worker.pid, 'SIGCONT')
  const all = [...waits, ...streams]
  await until('all have their order', () => all.every(({ orders }) => orders.length > 0), 60_000)
  const delays = [waits, streams].map(clients => clients.flatMap(client => client.delays))
  const [ofWaits, ofStreams] = delays.map(values => [percentile(values, 0.5), percentile(values, 0.99)])
  console.info(
    `${CLIENTS} requests and ${CLIENTS} streams: p50 and p99 ${ofWaits} and ${ofStreams} ms, ` +
      `${Math.round(bytes / 1024)} KiB for each; accepts ${withClients.speed.toFixed()} of ${alone.speed.toFixed()}/s, ` +
      `processor time ${withClients.work.toFixed()} of ${alone.work.toFixed()} µs`
  )
  expect(delays.map(({ length }) => length)).toEqual([CLIENTS, CLIENTS])
  for (const values of delays) expect(percentile(values, 0.99)).toBeLessThan(LONGEST)
  expect(withClients.work / alone.work).toBeLessThan(MOST_WORK)
  for (const { socket } of all) socket.destroy()
  await Promise.all([api.end('SIGTERM'), worker.end('SIGTERM')])
})

/** Posts one order of each customer. */
async function postRound(port: number, round: number): Promise<void> {
  const bytes = Array.from({ length: CLIENTS }, (_, n) => orderOf(`stop-${n}-${round}`, `stop-${n}`))
  const client = await openWaiting(port, bytes.join(''))
  await until(`the orders of round ${round} are sent`, () => client.socket.writableLength === 0, 60_000)
}

test('a stop ends all waits and streams in time, and each stream goes on at another process', {
  timeout: 600_000
}, async () => {
  const space = await openOwnSpace()
  const first = await startService(space, 'api', ENV)
  const second = await startService(space, 'api', ENV)
  const worker = await startService(space, 'worker', ENV)
  const streams = await openAll(portOf(first), n => streamOf(`stop-${n}`))
  await until('all streams have a position', () => streams.every(({ lastId }) => lastId !== ''), 60_000)

  await postRound(portOf(second), 0)
  await until('some events have arrived', () => streams.some(({ orders }) => orders.length > 0))
  const began = performance.now()
  const { code } = await first.end('SIGTERM')
  const took = performance.now() - began
  await until('all streams have ended', () => streams.every(({ ended }) => ended))
  await postRound(portOf(second), 1)

  const resumed = await openAll(portOf(second), n =>
    streamOf(`stop-${n}`, { 'last-event-id': streams[n]?.lastId ?? '' })
  )
  const countOf = (n: number) => [streams[n], resumed[n]].flatMap(client => client?.orders ?? [])
  await until('all events have arrived', () => streams.every((_, n) => countOf(n).length >= 2), 120_000)
  console.info(`a stop with ${CLIENTS} streams took ${Math.round(took)} ms`)
  expect(code).toBe(0)
  for (const n of streams.keys()) expect(countOf(n)).toEqual([`stop-${n}-0`, `stop-${n}-1`])
  for (const { socket } of resumed) socket.destroy()
  await Promise.all([second.end('SIGTERM'), worker.end('SIGTERM')])
})
