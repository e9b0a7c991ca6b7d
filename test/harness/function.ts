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

/** The default export of a file under `handlers/`: a plugin that may take options. */
export type FunctionPlugin<Options> = (app: App, options: Options) => Promise<void>

/** Options of `useFunction`. */
export interface FunctionSetup<Options> {
  /** The second argument of the plugin. */
  options?: Options
  /** Migration files to apply in addition to the files in `migrations/functions/`. */
  tables?: URL[]
  /** Environment variables of the service, such as `{ STREAM_PARTITIONS: 2 }`. */
  env?: Record<string, unknown>
}

/** A stream function that runs alone in this process. Its parts of Redis and MySQL are empty at the start. */
export interface TestedFunction extends TestApp {
  /** Reads the stores with `sql` and `redis`. Pass it to `useRoute` to run a route on the same stores. */
  space: Space
  /** Publishes the event of a completed order, with the price that the service computes. */
  orderCompleted: (order_id: string, amount: number | string) => Promise<void>
  /** Publishes the event of a failed order. */
  orderFailed: (order_id: string, amount: number | string) => Promise<void>
  /**
   * Returns the bodies of the messages in a stream that no function consumes, such as a stream that it publishes to.
   */
  published: (stream: string) => Promise<unknown[]>
  /**
   * Waits until the function has settled all its messages and has no retries. Fails with the last error of the log
   * after `timeout` milliseconds (20,000 by default).
   */
  settled: (timeout?: number) => Promise<void>
  /** Returns the dead letters of the function, oldest first. */
  deadLetters: () => Promise<DeadLetter[]>
}

/**
 * Runs one stream function on the real stores of the test run, with its own database and key prefix. The function stops
 * when the running test ends.
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

/** Runs one route of `handlers/api/` on the stores of a tested function. The route stops when the running test ends. */
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

/** Returns the last error of the log, such as the error of a handler. */
function lastError({ log }: TestApp): string {
  const line = log.findLast(({ err }) => err !== undefined)
  const { stack = '' } = (line?.err ?? {}) as { stack?: string }
  return line ? `The log has: ${line.msg}: ${stack}` : 'The log has no error.'
}
