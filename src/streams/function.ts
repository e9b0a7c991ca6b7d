import type { FastifyBaseLogger } from 'fastify'
import type { Static, TSchema } from 'typebox'

/** One message of a stream, its body validated. */
export interface Message<Body = unknown> {
  /** Stable over redelivery. */
  id: string
  body: Body
  /** Request that caused the message; '' when there was none. */
  requestId: string
  /** W3C traceparent of that request; '' when there was none. */
  traceparent: string
}

/** A key that is written in the very step that settles its message, and only if this worker still owns it. */
export interface KeyWrite {
  message: Message
  /** It must lie in the slot of the message's partition. */
  key: string
  value: string
  /** Milliseconds. */
  ttl: number
}

/** What a handler says of its batch. Messages that are not named in `failed` are done. */
export interface BatchResult {
  writes?: KeyWrite[]
  failed?: { message: Message; cause: Error }[]
}

export interface BatchContext {
  /** Logger that names the function. */
  log: FastifyBaseLogger
  /** Aborted when the batch has used up the function's timeout. */
  signal: AbortSignal
}

/**
 * A function that a stream triggers: what `app.consume` takes. Messages come in batches; a batch that throws stays
 * pending whole and is delivered again after the lease, so a handler must be able to see a message twice.
 */
export interface StreamFunction<Schema extends TSchema = TSchema> {
  /** Name of the function, and of its consumer group. */
  name: string
  stream: string
  schema: Schema
  /** Version of the message that the schema describes; a message of another version is left to a worker that knows it. */
  version: string
  batch: {
    /** Most messages of one batch, 1 to 1000. */
    size: number
    /** How long to wait for more when a batch is not full, in milliseconds. */
    window: number
  }
  /** Batches in flight in one process for each partition. */
  concurrency: number
  /** How long a batch may take, in milliseconds. */
  timeout: number
  // biome-ignore lint/suspicious/noConfusingVoidType: a handler that has nothing to say returns nothing
  handler: (messages: Message<Static<Schema>>[], context: BatchContext) => Promise<BatchResult | void>
}
