import type { FastifyBaseLogger } from 'fastify'
import type { Static, TSchema } from 'typebox'

/** One message of a stream, its body validated. */
export interface Message<Body = unknown> {
  /** Id of the message. Redelivery, retry and redrive keep it. It is unique in its partition only. */
  id: string
  body: Body
  /**
   * The key of this function's effect on this message. It is unique over all partitions and never changes. Pass it to
   * an outside system as idempotency key: a message that is delivered twice then has one effect. For an event, use the
   * event's own id instead, since one event may arrive as two messages.
   */
  effectKey: string
  /** The number of this attempt; 1 for the first. */
  attempt: number
  /** The version of the message's schema (field `v`). */
  version: string
  /** True when an operator has redriven the message from the dead letters. */
  redriven: boolean
  /** The last redrive of the message. Undefined when it was never redriven, or the time of its redrive is unknown. */
  redrive?: Redrive
  /** Request that caused the message; '' when there was none. */
  requestId: string
  /** W3C traceparent of that request; '' when there was none. */
  traceparent: string
  /** `<epoch>:<number>`: the number of the accepted order within its epoch; '' for messages that are not counted. */
  ordinal: string
}

/** A redrive of a message. */
export interface Redrive {
  /** ISO 8601, on the clock of Redis. */
  at: string
  /** The request that redrove the message; '' when it is unknown. */
  requestId: string
}

/** A key to write in the step that settles the message, if this worker still owns the message. */
export interface KeyWrite {
  message: Message
  /** The key must be in the hash slot of the message's partition. */
  key: string
  value: string
  /** Milliseconds. */
  ttl: number
}

/** An event to append to `events` in the step that settles the message. */
export interface OutgoingEvent {
  message: Message
  /** CloudEvents 1.0 in JSON. */
  data: string
  /**
   * Prevents a second publication. The first `KeyWrite` of the message replaces a value. When that value begins with
   * this text, the event was published before and is skipped. With '', the event is never skipped.
   */
  unless: string
}

/** The result of a handler. Messages that `failed` does not name are done. */
export interface BatchResult {
  writes?: KeyWrite[]
  events?: OutgoingEvent[]
  /** Messages that are done and changed nothing: another message had the same effect before. */
  duplicates?: Message[]
  /** Messages that are tried again later. A message whose cause is a `TerminalError` is dead-lettered at once. */
  failed?: { message: Message; cause: Error }[]
}

/** The message can never succeed: it is dead-lettered without another attempt. */
export class TerminalError extends Error {
  override name = 'TerminalError'
  /** A short, machine-readable word; `terminal` when the author sets none. */
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = typeof code === 'string' && code !== '' ? code : 'terminal'
  }
}

/**
 * Returns the code of a failure for dead letters and failed orders: the code of a `TerminalError`, else `exhausted`.
 */
export function codeOf(cause: Error): string {
  return cause instanceof TerminalError ? cause.code : 'exhausted'
}

/** The second argument of a handler. */
export interface BatchContext {
  /** Logger that names the function. */
  log: FastifyBaseLogger
  /** Aborted when the function's timeout is over, or when the worker stops and can wait no longer. */
  signal: AbortSignal
}

/** A message that failed, and the cause. */
export interface FailedMessage<Body = unknown> {
  message: Message<Body>
  cause: Error
}

/**
 * The final outcome of a message. `code` is the code of its dead letter. `redriven` is the kind of dead letter that the
 * message was before its redrive; '' when it was never redriven. `bytes` is the size of its data.
 */
export interface MessageEnd {
  kind: 'done' | 'duplicate' | 'dead'
  code: string
  redriven: '' | 'failed' | 'conflict'
  bytes: number
}

/**
 * Returns the changes of counters in the hash `settled` for the final outcome of a message. The audit reads this hash.
 */
export type Counters = (end: MessageEnd) => [counter: string, change: number][]

/** The most messages in a batch, and how long to wait for more messages when a batch is not full (ms). */
export interface BatchLimits {
  size: number
  window: number
}

/** The number of attempts, and the pauses between them (ms). A pause is random: at most base × 2^n, and at most max. */
export interface RetryLimits {
  attempts: number
  base: number
  max: number
}

/** The options of `app.consume` that have a default. */
const DEFAULTS = {
  version: '1',
  start: 'new' as const,
  batch: { size: 100, window: 5 },
  /** Batches in flight in one process for each partition. */
  concurrency: 1,
  retry: { attempts: 8, base: 200, max: 30_000 },
  /** The time that one call of the handler may take (ms). */
  timeout: 30_000
}

/**
 * The definition of a function, as `app.consume` takes it. schema/config/function.ts has the limits of its values. When
 * a batch throws, it is split in two until the failing message is alone. This message is retried with growing pauses,
 * and is dead-lettered after its last attempt. When a batch runs out of time, it is not split: its messages run alone
 * next. Delivery is at least once: a handler may receive a message more than once.
 */
export interface StreamFunction<Schema extends TSchema = TSchema> {
  /** The name of the function in logs, metrics and dead letters. It is unique. */
  name: string
  /** `events`, or a queue that no other function consumes. The queue `placed` is reserved for `process-orders`. */
  stream: string
  /** Consumer group; the function's name by default. Each group of a log receives every message. */
  group?: string
  /** The schema of a message's body. A message that does not match is dead-lettered. */
  schema: Schema
  /**
   * Where a new function on `events` starts: `new` for the events from now on, `all` for all events that are still
   * kept. A function that has consumed before continues at its position.
   */
  start?: 'new' | 'all'
  /**
   * The versions of messages that the schema describes. A message of another version is released to workers that
   * support the version.
   */
  version?: string | string[]
  /**
   * Returns whether the handler is to receive a message. Other messages are done without a call of the handler. By
   * default, the handler receives all messages.
   */
  filter?: (body: Static<Schema>) => boolean
  /** Limits that are left out have their defaults. The same applies to `retry`. */
  batch?: Partial<BatchLimits>
  concurrency?: number
  retry?: Partial<RetryLimits>
  timeout?: number
  // biome-ignore lint/suspicious/noConfusingVoidType: a handler with nothing to report returns nothing
  handler: (messages: Message<Static<Schema>>[], context: BatchContext) => Promise<BatchResult | void>
  /**
   * Called with messages before they are dead-lettered. The step that dead-letters them also writes the `writes` of the
   * result and publishes its `events`. A message in `duplicates` of the result counts as done and is not dead-lettered.
   * A cause in `failed` replaces the original cause.
   */
  onDead?: (dead: FailedMessage<Static<Schema>>[], context: BatchContext) => Promise<BatchResult>
  /**
   * Called with messages before their retry is stored. An error is logged and changes nothing. After a crash, the same
   * retry may be reported again.
   */
  onRetry?: (failed: FailedMessage<Static<Schema>>[], context: BatchContext) => Promise<void>
  /** Only for functions of the service: the audit counts their messages. */
  counters?: Counters
}

/** A function with all defaults filled in, as the runtime uses it. */
export type ResolvedFunction = Required<
  Omit<StreamFunction, 'filter' | 'onDead' | 'onRetry' | 'counters' | 'batch' | 'retry'>
> &
  Pick<StreamFunction, 'filter' | 'onDead' | 'onRetry' | 'counters'> & {
    batch: BatchLimits
    retry: RetryLimits
  }

/** Fills in defaults. Keeps invalid values, which `checkFunction` reports. */
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

/** Changes a default that contradicts a given value: `max` must not be below `base`. */
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

/** Returns the versions of messages that a function supports; the default version when it names none. */
export function versionsOf({ version = DEFAULTS.version }: Pick<StreamFunction, 'version'>): string[] {
  return typeof version === 'string' ? [version] : version
}
