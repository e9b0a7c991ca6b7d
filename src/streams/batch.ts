import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Availability } from '../stores/availability.ts'
import { type StoreName, StoreUnavailable } from '../stores/errors.ts'
import type { Decoder, Entry } from './entries.ts'
import type { BatchResult, Message, StreamFunction } from './function.ts'
import type { GroupMember } from './group.ts'

export interface BatchRunner {
  definition: StreamFunction
  member: GroupMember
  decode: Decoder
  stores: Record<StoreName, Availability>
  log: FastifyBaseLogger
  /** Aborted when the worker stops: waiting for a store ends, work in hand is finished. */
  stopping: AbortSignal
}

/** Longest pause before a batch is tried again after a store was away (ms). */
const LONGEST_PAUSE = 2000

/** The handler did not finish within the function's timeout. */
export class HandlerTimeout extends Error {
  override name = 'HandlerTimeout'
}

/**
 * Takes one batch from its entries to its settlement:
 *
 *     entries --decode--> messages --handler--> done ----settle----> gone
 *          \__ faulty          \__ failed
 *
 * What cannot be processed is logged and stays pending, and so is delivered again once its lease is over. When a
 * store is away the batch waits for it: that is no fault of the messages.
 * @returns how many messages were settled and how many stay pending.
 */
export async function runBatch(
  runner: BatchRunner,
  entries: Entry[]
): Promise<{ settled: number; pending: number }> {
  const { definition, member, log } = runner
  const started = performance.now()
  const messages: Message[] = []
  for (const entry of entries) {
    const { message, fault } = runner.decode(entry)
    if (fault) reportPending(log, message, fault)
    else messages.push(message)
  }
  if (messages.length === 0) return { settled: 0, pending: entries.length }

  const result = await untilAnswered(runner, () => callHandler(definition, log, messages))
  if (result instanceof Error) {
    log.error(
      { err: result, messages: messages.length, request_ids: requestIds(messages) },
      'batch failed, its messages stay pending'
    )
    return { settled: 0, pending: entries.length }
  }
  const failed = new Set(result.failed?.map(({ message }) => message))
  for (const { message, cause } of result.failed ?? []) reportPending(log, message, cause)
  const done = messages.filter(message => !failed.has(message))
  const settled = await untilAnswered(runner, () =>
    member.settle(
      done.map(({ id }) => id),
      result.writes ?? []
    )
  )
  if (settled instanceof Error) {
    log.warn(
      { err: settled, messages: done.length },
      'batch was processed but not settled; it will be delivered again'
    )
    return { settled: 0, pending: entries.length }
  }
  if (settled.length > 0) {
    const ms = Math.round(performance.now() - started)
    log.info({ messages: settled.length, ms, request_ids: requestIds(done) }, 'batch settled')
  }
  return { settled: settled.length, pending: entries.length - settled.length }
}

/**
 * Does `work`; when a store is away, waits until it is back and does it again. Gives the error when it is another
 * one, or when the worker stops meanwhile.
 */
async function untilAnswered<T>(runner: BatchRunner, work: () => Promise<T>): Promise<T | Error> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof StoreUnavailable) || runner.stopping.aborted) return error as Error
      // A store that answers and still refuses (it is read-only, say) must not be asked in a tight loop.
      await delay(Math.min(50 * 2 ** attempt, LONGEST_PAUSE), undefined, { signal: runner.stopping }).catch(
        () => {}
      )
      await runner.stores[error.store].untilUp(runner.stopping)
    }
  }
}

async function callHandler(
  definition: StreamFunction,
  log: FastifyBaseLogger,
  messages: Message[]
): Promise<BatchResult> {
  const expired = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new HandlerTimeout(`${definition.name} did not finish within ${definition.timeout} ms`)
      expired.abort(error)
      reject(error)
    }, definition.timeout)
  })
  try {
    return (
      (await Promise.race([definition.handler(messages, { log, signal: expired.signal }), timeout])) ?? {}
    )
  } finally {
    clearTimeout(timer)
  }
}

function reportPending(log: FastifyBaseLogger, message: Message, cause: Error): void {
  log.error(
    { err: cause, message_id: message.id, request_id: message.requestId },
    'message failed and stays pending'
  )
}

function requestIds(messages: Message[]): string[] {
  return messages.map(({ requestId }) => requestId)
}
