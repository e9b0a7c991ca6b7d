import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, onTestFinished } from 'vitest'
import { createAddressGuard } from '../../src/webhooks/address-guard.ts'
import { createDispatcher, type Dispatcher } from '../../src/webhooks/deliver/dispatcher.ts'
import type { AttemptOutcome } from '../../src/webhooks/deliver/endpoint-run.ts'
import type { Pauses } from '../../src/webhooks/deliver/pauses.ts'
import { createQueue } from '../../src/webhooks/deliver/queue.ts'
import { createSender, type SenderOptions } from '../../src/webhooks/deliver/send.ts'
import { createEndpointTable, type EndpointTable } from '../../src/webhooks/endpoint-table.ts'
import { insertDeliveries, renderPayload } from '../../src/webhooks/new-deliveries.ts'
import { newWebhookSecret } from '../../src/webhooks/signature.ts'
import { openApp } from '../harness/app.ts'
import { type Space, useSpace } from '../harness/space.ts'

/** The tenant of the endpoints. */
export const TENANT = 'default'

/** Short pauses, so that a test sees every step. */
export const SHORT: Pauses = {
  retry: [50, 100, 200],
  retryFor: 60_000,
  parkAfter: 3,
  park: [100, 200, 400],
  longestRetryAfter: 1000
}

/** A delivery in the database. */
export interface DeliveryRow {
  message_id: string
  status: string
  attempts: number
  response_code: number | null
  error: string | null
  duration_ms: number | null
}

/** A dispatcher that polls every 20 ms, and what it has counted. */
export interface Started {
  dispatcher: Dispatcher
  outcomes: AttemptOutcome[]
}

/** The options of `start`. Times are in milliseconds. */
export interface StartOptions {
  pauses?: Pauses
  lease?: number
  patience?: number
  sender?: Partial<SenderOptions>
}

/** Endpoints and their queues in a space of their own, without the rest of the service. */
export interface Queues {
  space: Space
  app: Awaited<ReturnType<typeof openApp>>['app']
  mysql: Awaited<ReturnType<typeof openApp>>['app']['stores']['mysql']
  table: EndpointTable
  /** Adds an endpoint. Its rows are deleted when the running test ends. */
  addEndpoint: (url: string) => Promise<{ id: string; secret: string }>
  /** Adds deliveries. The first one is `age` ms old (10 s by default), and each later one a millisecond less. */
  addDeliveries: (endpoint: string, numbers: number[], age?: number) => Promise<void>
  rowsOf: (endpoint: string) => Promise<DeliveryRow[]>
  statusesOf: (endpoint: string) => Promise<string[]>
  /** Resolves to true when all deliveries of an endpoint are delivered. */
  isDone: (endpoint: string) => Promise<boolean>
  /** Starts a dispatcher, which stops when the running test ends. */
  start: (options?: StartOptions) => Started
}

/** Returns the numbers from `from` to `to`, without `to`. */
export function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, n) => from + n)
}

/** Returns the `webhook-id` of the delivery with a number. */
export function idOf(n: number): string {
  return `order-${n}:completed`
}

/** Opens queues for a test file. */
export async function useQueues(): Promise<Queues> {
  const space = await useSpace()
  // A process without functions: each test begins its own dispatchers.
  const { app, close } = await openApp(space, 'worker', {}, undefined, { functions: false })
  afterAll(close)
  const { mysql } = app.stores
  const table = createEndpointTable(mysql)
  const rowsOf = (endpoint: string) =>
    space.sql<DeliveryRow>(
      'SELECT * FROM webhook_deliveries WHERE endpoint_id = ? ORDER BY occurred_at, id',
      [endpoint]
    )
  const statusesOf = async (endpoint: string) => (await rowsOf(endpoint)).map(({ status }) => status)
  return {
    space,
    app,
    mysql,
    table,
    rowsOf,
    statusesOf,
    isDone: async endpoint => (await statusesOf(endpoint)).every(status => status === 'delivered'),
    addEndpoint: async url => {
      const [id, secret] = [randomBytes(8).toString('hex'), newWebhookSecret()]
      await table.insert({
        id,
        tenant: TENANT,
        url,
        events: null,
        secret,
        created_at: new Date().toISOString()
      })
      onTestFinished(async () => {
        await space.sql('DELETE FROM webhook_deliveries WHERE endpoint_id = ?', [id])
        await space.sql('DELETE FROM webhook_endpoints WHERE id = ?', [id])
      })
      return { id, secret }
    },
    addDeliveries: async (endpoint_id, all, age = 10_000) => {
      const first = Date.now() - age
      const deliveries = all.map((n, index) => {
        const occurred_at = new Date(first + index).toISOString()
        const payload = renderPayload('order.completed', occurred_at, `{"order_id":"order-${n}"}`)
        return { endpoint_id, message_id: idOf(n), type: 'order.completed', occurred_at, payload }
      })
      await insertDeliveries(mysql, deliveries)
    },
    start: ({ pauses = SHORT, lease = 30_000, patience = 500, sender: options = {} } = {}) => {
      const owner = `test-${randomBytes(4).toString('hex')}`
      const sender = createSender({ guard: createAddressGuard(true), ...options })
      const outcomes: AttemptOutcome[] = []
      const dispatcher = createDispatcher({
        queue: createQueue(mysql, owner),
        sender,
        lease,
        patience,
        log: app.log,
        count: outcome => outcomes.push(outcome),
        pauses
      })
      let over = false
      const polling = (async () => {
        while (!over) {
          await dispatcher.poll()
          await delay(20)
        }
      })()
      onTestFinished(async () => {
        over = true
        await polling
        await dispatcher.stop()
        sender.close()
      })
      return { dispatcher, outcomes }
    }
  }
}
