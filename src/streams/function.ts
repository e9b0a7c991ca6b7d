import type { FastifyBaseLogger } from 'fastify'
import type { Static, TSchema } from 'typebox'

/** One message of a stream, its body validated. */
export interface Message<Body = unknown> {
  /** Id of the message: stable over redelivery, retry and redrive. Unique in its partition only. */
  id: string
  body: Body
  /**
   * Names the effect of this function for this message, over all partitions and forever. Pass it to an outside system
   * as idempotency key, so that a message that is delivered twice has one effect. An event may come as two messages;
   * use the event's own id there.
   */
  effectKey: string
  /** Which attempt this is; 1 for the first. */
  attempt: number
  /** Which of the function's versions it has (field `v`). */
  version: string
  /** Whether an operator redrove it from the dead letters. */
  redriven: boolean
  /** Request that caused the message; '' when there was none. */
  requestId: string
  /** W3C traceparent of that request; '' when there was none. */
  traceparent: string
  /** `<epoch>:<number>`: the number of the accepted order within its epoch; '' for messages that are not counted. */
  ordinal: string
}

/** A key that is written in the step that settles its message, and only if this worker still owns the message. */
export interface KeyWrite {
  message: Message
  /** It must lie in the slot of the message's partition. */
  key: string
  value: string
  /** Milliseconds. */
  ttl: number
}

/** An event that is appended to `events` in the step that settles its message. */
export interface OutgoingEvent {
  message: Message
  /** CloudEvents 1.0 in JSON. */
  data: string
  /**
   * The event is not published when the value that the message's first `KeyWrite` replaces begins with this text:
   * another message, or an earlier delivery, has published it. '' publishes it in any case.
   */
  unless: string
}

/** The result of a handler. Messages that `failed` does not name are done. */
export interface BatchResult {
  writes?: KeyWrite[]
  events?: OutgoingEvent[]
  /** Messages that are done and changed nothing: another message had the same effect before. */
  duplicates?: Message[]
  /** Messages that are tried again later, or, with a `TerminalError`, go to the dead letters at once. */
  failed?: { message: Message; cause: Error }[]
}

/** The message can never succeed: it is dead-lettered without another attempt. */
export class TerminalError extends Error {
  override name = 'TerminalError'
  /** A short word for machines; `terminal` when the author sets none. */
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = typeof code === 'string' && code !== '' ? code : 'terminal'
  }
}

/**
 * The code of a failure, as dead letters and failed orders carry it: `exhausted` unless a `TerminalError` names one.
 */
export function codeOf(cause: Error): string {
  return cause instanceof TerminalError ? cause.code : 'exhausted'
}

/** The second argument of a handler, beside its messages. */
export interface BatchContext {
  /** Logger that names the function. */
  log: FastifyBaseLogger
  /** Aborted when the batch has used up the function's timeout, or the grace of a worker that stops. */
  signal: AbortSignal
}

/** A message that is to be dead-lettered, and why. */
export interface FailedMessage<Body = unknown> {
  message: Message<Body>
  cause: Error
}

/** The end of a message. `code` is that of a dead letter; `redriven` is what the message was before it was redriven. */
export interface MessageEnd {
  kind: 'done' | 'duplicate' | 'dead'
  code: string
  redriven: '' | 'failed' | 'conflict'
}

/** The changes of counters of the hash `settled`, which the audit reads, when a message ends. */
export type Counters = (end: MessageEnd) => [counter: string, change: number][]

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

/** The options of `app.consume` that have a default. */
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
 * A function that a stream triggers: what `app.consume` takes, within the bounds of schema/config/function.ts. A batch
 * that throws is split in two until the failing message is alone. That one is retried with growing pauses, and
 * dead-lettered in the end. A batch that runs out of time is not split: its messages run alone next. A handler may
 * receive a message more than once: delivery is at least once.
 */
export interface StreamFunction<Schema extends TSchema = TSchema> {
  /** Name of the function, in logs, metrics and dead letters; no two have the same. */
  name: string
  /** `events`, or a queue of your own, which no other function consumes; `placed` is that of `process-orders`. */
  stream: string
  /** Consumer group; the function's name by default. Each group of a log sees every message. */
  group?: string
  /** The schema of the body of a message; a message that does not match becomes a dead letter. */
  schema: Schema
  /**
   * The start of a new function on `events`: at the events from now on, or at all that are still kept. A function that
   * has consumed before continues where it was.
   */
  start?: 'new' | 'all'
  /**
   * The versions of messages that the schema describes. A message of another version is left to a worker that knows it.
   */
  version?: string | string[]
  /** Returns whether the function wants a message. The others are settled without a call. All by default. */
  filter?: (body: Static<Schema>) => boolean
  /** Any part of `batch` or `retry` that is left out has its default. */
  batch?: Partial<BatchLimits>
  concurrency?: number
  retry?: Partial<RetryLimits>
  timeout?: number
  // biome-ignore lint/suspicious/noConfusingVoidType: a handler with nothing to report returns nothing
  handler: (messages: Message<Static<Schema>>[], context: BatchContext) => Promise<BatchResult | void>
  /**
   * Called with messages before they are dead-lettered. What it returns is written in the same step. Messages in its
   * `duplicates` are done instead, and a cause in its `failed` replaces the first one.
   */
  onDead?: (dead: FailedMessage<Static<Schema>>[], context: BatchContext) => Promise<BatchResult>
  /** For functions of the service, whose messages an audit counts. */
  counters?: Counters
}

/** A function with nothing left out, as the runtime uses it. */
export type ResolvedFunction = Required<
  Omit<StreamFunction, 'filter' | 'onDead' | 'counters' | 'batch' | 'retry'>
> &
  Pick<StreamFunction, 'filter' | 'onDead' | 'counters'> & { batch: BatchLimits; retry: RetryLimits }

/** Fills in defaults. Invalid values stay as they are, for `checkFunction` to find. */
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
