import type { FastifyBaseLogger } from 'fastify'
import type { Static, TSchema } from 'typebox'

/** One message of a stream, its body validated. */
export interface Message<Body = unknown> {
  /** Id of the entry that it came as: stable over redelivery, retry and redrive. Unique in its partition only. */
  id: string
  body: Body
  /**
   * Names the effect of this function for this message, over all partitions and forever: what an outside system takes as
   * idempotency key, so that a message that is delivered twice is acted upon once. An event may come as two messages;
   * what names that is its own id.
   */
  effectKey: string
  /** Which attempt this is; 1 for the first. */
  attempt: number
  /** Its `v`: which of the function's versions it has. */
  version: string
  /** Whether an operator sent it back from the dead letters. */
  redriven: boolean
  /** Request that caused the message; '' when there was none. */
  requestId: string
  /** W3C traceparent of that request; '' when there was none. */
  traceparent: string
  /** `<epoch>:<number>`: the life of the counter of accepted orders, and what it came to; '' where nothing is counted. */
  ordinal: string
}

/** A key that is written in the very step that settles its message, and only if this worker still owns that. */
export interface KeyWrite {
  message: Message
  /** It must lie in the slot of the message's partition. */
  key: string
  value: string
  /** Milliseconds. */
  ttl: number
}

/** An event that is appended to `events` in the very step that settles its message. */
export interface OutgoingEvent {
  message: Message
  /** CloudEvents 1.0 in JSON. */
  data: string
  /**
   * Text by which the value of the message's first `KeyWrite` shows, before it is written, that this event is out
   * already: a message that is settled after a crash may be about something that another one has told.
   */
  unless: string
}

/** What a handler says of its batch. Messages that are not named in `failed` are done. */
export interface BatchResult {
  writes?: KeyWrite[]
  events?: OutgoingEvent[]
  /** Messages that are done and change nothing, being about an order that another message had accepted. */
  duplicates?: Message[]
  /** Messages that are tried again later, or, with a `TerminalError`, go to the dead letters at once. */
  failed?: { message: Message; cause: Error }[]
}

/** The message can never succeed: it goes to the dead letters without further attempts. */
export class TerminalError extends Error {
  override name = 'TerminalError'
  /** A short word for machines. */
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** The code of a failure, as dead letters and failed orders carry it: `exhausted` unless a `TerminalError` names one. */
export function codeOf(cause: Error): string {
  return cause instanceof TerminalError ? cause.code : 'exhausted'
}

export interface BatchContext {
  /** Logger that names the function. */
  log: FastifyBaseLogger
  /** Aborted when the batch has used up the function's timeout, or the grace of a worker that stops. */
  signal: AbortSignal
}

/** A message on its way to the dead letters, and why. */
export interface Letter<Body = unknown> {
  message: Message<Body>
  cause: Error
}

/** Messages, and milliseconds to wait for more when a batch is not full. */
export interface BatchLimits {
  size: number
  window: number
}

/** Attempts in all; pauses in milliseconds: random up to base × 2^n, at most max. */
export interface RetryLimits {
  attempts: number
  base: number
  max: number
}

/** What `app.consume` may leave out. */
const DEFAULTS = {
  version: '1',
  start: 'new' as const,
  batch: { size: 100, window: 5 },
  /** Batches in flight in one process for each partition. */
  concurrency: 1,
  retry: { attempts: 8, base: 200, max: 30_000 },
  /** Milliseconds that a batch may take. */
  timeout: 30_000
}

/**
 * A function that a stream triggers: what `app.consume` takes, within the bounds of schema/config/function.ts. A batch that
 * throws is split in two until the culprit stands alone; that one is retried with growing pauses and ends in the dead
 * letters. A handler may see a message more than once: at least once is what is promised.
 */
export interface StreamFunction<Schema extends TSchema = TSchema> {
  /** Name of the function, in logs, metrics and dead letters; no two have the same. */
  name: string
  /** `events`, or a queue of your own, which no other function consumes; `placed` is that of `process-orders`. */
  stream: string
  /** Consumer group; the function's name by default. Each group of a log sees every message. */
  group?: string
  /** What the body of a message must match; one that does not is a dead letter. */
  schema: Schema
  /**
   * Where a function on `events` begins that is new: at what happens from now on, or at all that is still kept. It says
   * nothing of a function that has consumed before.
   */
  start?: 'new' | 'all'
  /** Version of the message that the schema describes, or several of them; another one is left to a worker that knows it. */
  version?: string | string[]
  /** Messages that the function wants; the others are settled unseen. All by default. */
  filter?: (body: Static<Schema>) => boolean
  /** What is left out of `batch` or of `retry` has its default. */
  batch?: Partial<BatchLimits>
  concurrency?: number
  retry?: Partial<RetryLimits>
  timeout?: number
  // biome-ignore lint/suspicious/noConfusingVoidType: a handler that has nothing to say returns nothing
  handler: (messages: Message<Static<Schema>>[], context: BatchContext) => Promise<BatchResult | void>
  /**
   * Told of messages before they become dead letters; what it returns is written in the step that moves them there. Those
   * that it names in `duplicates` are done instead, and a cause that it gives in `failed` is the one that counts.
   */
  onDead?: (letters: Letter<Static<Schema>>[], context: BatchContext) => Promise<BatchResult>
}

/** A function with nothing left out, as the runtime uses it. */
export type ResolvedFunction = Required<Omit<StreamFunction, 'filter' | 'onDead' | 'batch' | 'retry'>> &
  Pick<StreamFunction, 'filter' | 'onDead'> & { batch: BatchLimits; retry: RetryLimits }

/** Fills in what was left out; what is not as it should be stays so, for `checkFunction` to find. */
export function resolveFunction(definition: StreamFunction): ResolvedFunction {
  const given = withoutUndefined(definition)
  return {
    group: given.name as string,
    ...DEFAULTS,
    ...given,
    batch: resolvePart(DEFAULTS.batch, given.batch),
    retry: resolveRetry(given.retry)
  } as ResolvedFunction
}

function resolvePart<T extends object>(defaults: T, given: Partial<T> | undefined): T {
  if (given === undefined) return defaults
  return typeof given === 'object' && given !== null
    ? { ...defaults, ...withoutUndefined(given) }
    : (given as T)
}

/** A default never contradicts what was given: the longest pause is not below the first one. */
function resolveRetry(given: Partial<RetryLimits> | undefined): RetryLimits {
  const retry = resolvePart(DEFAULTS.retry, given)
  if (retry.base <= retry.max) return retry
  if (given?.max === undefined) return { ...retry, max: retry.base }
  return given.base === undefined ? { ...retry, base: retry.max } : retry
}

function withoutUndefined<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(options ?? {}).filter(([, value]) => value !== undefined)
  ) as Partial<T>
}

/** The versions of messages that a function knows; those of a function without one are the default. */
export function versionsOf({ version = DEFAULTS.version }: Pick<StreamFunction, 'version'>): string[] {
  return typeof version === 'string' ? [version] : version
}
