import { readFile } from 'node:fs/promises'
import { inject, onTestFinished } from 'vitest'
import type { OrderPlaced } from '../../schema/messages/order-placed.ts'
import type { App } from '../../src/app.ts'
import { isoNow } from '../../src/async/clock.ts'
import { orderEvent } from '../../src/orders/events.ts'
import { type OrderRecord, renderDocument } from '../../src/orders/order.ts'
import { complete, fail } from '../../src/orders/pricing.ts'
import { statementsOf } from '../../src/stores/mysql/migrate.ts'
import type { DeadLetter } from '../../src/streams/dead-letters/dead-letter.ts'
import { EVENTS } from '../../src/streams/names.ts'
import { type TestApp, useApp } from './app.ts'
import { openSpace, type Space, until } from './space.ts'

/** A file under `handlers/`: a plugin, which may take options. */
export type FunctionPlugin<Options> = (app: App, options: Options) => Promise<void>

/** How a test wants its function. */
export interface FunctionSetup<Options> {
  /** What the plugin gets as its second argument. */
  options?: Options
  /** Migration files to apply that are not in `migrations/functions/`. */
  tables?: URL[]
  /** Environment variables of the service, as `{ STREAM_PARTITIONS: 2 }`. */
  env?: Record<string, unknown>
}

/** A stream function that runs in this process as a worker runs it, alone, on an empty Redis and MySQL. */
export interface TestedFunction extends TestApp {
  /** `space.sql` and `space.redis` look at the stores; pass `space` to `useRoute` for a route on the same stores. */
  space: Space
  /** Publishes the event of an order that is completed, priced as the service prices it. */
  orderCompleted: (order_id: string, amount: number | string) => Promise<void>
  /** Publishes the event of an order that has failed. */
  orderFailed: (order_id: string, amount: number | string) => Promise<void>
  /** The bodies of the messages that wait in a queue: what the function has published, while no function consumes it. */
  published: (stream: string) => Promise<unknown[]>
  /**
   * Waits until the function has no message that waits, runs or will be retried. Fails after `timeout` ms, 20,000 by
   * default, with the last error of the log.
   */
  settled: (timeout?: number) => Promise<void>
  /** The dead letters of the function, oldest first. */
  deadLetters: () => Promise<DeadLetter[]>
}

/**
 * Runs one stream function against the real stores of the test run, in a database and under a key prefix of its own. It
 * stops when the running test ends.
 */
export async function useFunction<Options>(
  plugin: FunctionPlugin<Options>,
  { options, tables = [], env = {} }: FunctionSetup<Options> = {}
): Promise<TestedFunction> {
  const space = await openSpace(inject('stores'))
  onTestFinished(() => space.close())
  for (const file of tables)
    for (const statement of statementsOf(await readFile(file, 'utf8'))) await space.sql(statement)
  const tested = await useApp(
    space,
    'worker',
    env,
    app => app.register(plugin as FunctionPlugin<object>, options ?? {}),
    { functions: false }
  )
  const { app } = tested
  const names = [...new Set(app.streams.consumers.map(({ definition }) => definition.name))]
  return {
    ...tested,
    space,
    orderCompleted: (order_id, amount) =>
      publishEvent(tested, complete(placed(app, order_id, amount), isoNow())),
    orderFailed: (order_id, amount) => {
      const failure = { code: 'exhausted', detail: 'It could not be processed.' }
      return publishEvent(tested, fail(placed(app, order_id, amount), failure, isoNow()))
    },
    published: stream => readQueue(tested, stream),
    settled: async timeout => {
      const isSettled = async () => {
        const states = await app.functions.states()
        const own = states.filter(({ name }) => names.includes(name))
        return own.length >= names.length && own.every(({ depth, retrying }) => depth + retrying === 0)
      }
      await until(`${names.join()} has settled all messages`, isSettled, timeout).catch(cause => {
        throw new Error(`${cause.message}. ${lastError(tested)}`, { cause })
      })
    },
    deadLetters: async () => {
      const pages = await Promise.all(names.map(name => app.streams.deadLetters.list(name, '', 500)))
      return pages.flatMap(({ deadLetters }) => deadLetters)
    }
  }
}

/** Runs one route of `handlers/api/`, alone, on the stores of a tested function. It stops when the running test ends. */
export function useRoute<Options>(
  space: Space,
  plugin: FunctionPlugin<Options>,
  { options, env = {} }: Omit<FunctionSetup<Options>, 'tables'> = {}
): Promise<TestApp> {
  return useApp(space, 'api', env, app => app.register(plugin as FunctionPlugin<object>, options ?? {}), {
    functions: false
  })
}

function placed({ config }: App, order_id: string, amount: number | string): OrderPlaced {
  return { order_id, amount: String(amount), tax_rate: String(config.TAX_RATE), accepted_at: isoNow() }
}

async function publishEvent({ app }: TestApp, order: OrderRecord): Promise<void> {
  const { data } = orderEvent(order, renderDocument(order), '')
  const stream = app.keys.stream(EVENTS, app.keys.partitionOf(order.order_id))
  await app.stores.redis.run(client => client.xadd(stream, '*', 'v', '1', 'data', data, 'request_id', ''))
}

async function readQueue({ app }: TestApp, stream: string): Promise<unknown[]> {
  const partitions = Array.from({ length: app.keys.partitions }, (_, partition) => partition)
  const entries = await Promise.all(
    partitions.map(partition => app.redis.xrange(app.keys.stream(stream, partition), '-', '+'))
  )
  return entries.flat().map(([, fields]) => JSON.parse(fields[fields.indexOf('data') + 1] as string))
}

/** The last error that the log has, as a function that is retried again and again leaves it there. */
function lastError({ log }: TestApp): string {
  const line = log.findLast(({ err }) => err !== undefined)
  const { stack = '' } = (line?.err ?? {}) as { stack?: string }
  return line ? `The log has: ${line.msg}: ${stack}` : 'The log has no error.'
}
