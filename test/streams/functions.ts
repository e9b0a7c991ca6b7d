import { type TSchema, Type } from 'typebox'
import type { BatchResult, Message, StreamFunction } from '../../src/streams/function.ts'
import { useApp } from '../harness/app.ts'
import { type Space, until } from '../harness/space.ts'

const Body = Type.Object({ n: Type.Integer() }, { additionalProperties: false })
type Handler = (messages: Message<{ n: number }>[]) => Promise<BatchResult | undefined>

/** A function on a stream of its own. */
export interface TestFunction {
  definition: StreamFunction
  /** Full key of the stream. */
  key: string
  name: string
  /** Appends a message with that number. Resolves to the id of the message. */
  add: (n: unknown, version?: string) => Promise<string>
  /** Returns the fields of such a message, for XADD. */
  fields: (n: unknown, version?: string) => string[]
  /** Waits until the stream is empty. */
  settled: () => Promise<unknown>
}

let count = 0

export function makeFunction(
  space: Space,
  handler: Handler,
  overrides: Partial<StreamFunction<TSchema>> = {}
): TestFunction {
  const name = `stream-${++count}`
  const key = `{${space.env.KEY_PREFIX}:0}:${name}`
  const definition = {
    name,
    stream: name,
    schema: Body,
    batch: { size: 10, window: 0 },
    concurrency: 2,
    retry: { attempts: 3, base: 10, max: 50 },
    timeout: 5000,
    handler,
    ...overrides
  } as StreamFunction
  const fields = (n: unknown, version = '1') => [
    'v',
    version,
    'data',
    JSON.stringify({ n }),
    'request_id',
    `r-${n}`
  ]
  return {
    definition,
    key,
    name,
    fields,
    add: async (n, version) => (await space.redis.xadd(key, '*', ...fields(n, version))) as string,
    settled: () => until(`${name} is empty`, async () => (await space.redis.xlen(key)) === 0)
  }
}

/** Starts a worker that runs this function beside those of the service. */
export function useWorker(space: Space, definition: StreamFunction) {
  return useApp(space, 'worker', { LEASE_MS: 500 }, app => app.consume(definition))
}
