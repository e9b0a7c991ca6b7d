import type { IncomingMessage } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Config } from '../../../schema/config/env.ts'
import type { Intake } from '../../orders/accept/intake.ts'
import { markClosing } from '../connection/drain-body.ts'
import { readPreferences } from '../prefer.ts'
import { traceparent } from '../request-context.ts'
import { Batch } from './batch.ts'
import { BatchMemory } from './batch-memory.ts'
import { createElements } from './elements.ts'
import { LateBatch, NoBatch } from './faults.ts'
import { createLineProblems } from './line-problems.ts'
import { createLines } from './lines.ts'
import { createOrderCheck } from './read-order.ts'

/** The media types of a batch in NDJSON. The results have the first one. */
export const NDJSON_TYPES = ['application/x-ndjson', 'application/ndjson', 'application/jsonl'] as const

/** Serves the batches of one process. */
export interface OrderBatches {
  /**
   * Accepts the orders of a request, whose body is the stream of its bytes, and answers with one line for each.
   * @throws {EndsBatch} when the body is no batch, or does not arrive.
   */
  serve: (request: FastifyRequest, reply: FastifyReply) => Promise<void>
  /** Ends each batch, now and later, before the first order that has not arrived yet. */
  stop: () => void
}

/** The dependencies of the batches. */
export interface OrderBatchesOptions {
  config: Pick<Config, 'BODY_LIMIT_BYTES' | 'MAX_BATCH_ORDERS' | 'REQUEST_TIMEOUT_MS'>
  intake: Intake
  /** Returns a function that counts an order against the rate limit of the request's caller. */
  countFurther: (request: FastifyRequest) => () => Error | undefined
}

/** Creates the batches of a process. */
export function createOrderBatches({ config, intake, countFurther }: OrderBatchesOptions): OrderBatches {
  const check = createOrderCheck()
  const memory = new BatchMemory()
  const running = new Set<Batch>()
  let isStopping = false

  const createBatch = (request: FastifyRequest, body: IncomingMessage, representation: boolean) => {
    const isJson = request.mediaType === 'application/json'
    const { tenant } = request.caller
    const origin = { tenant, requestId: request.id, traceparent: traceparent(request) }
    return new Batch({
      body,
      splitter: (isJson ? createElements : createLines)(config.BODY_LIMIT_BYTES),
      recovers: !isJson,
      count: exceptFirst(countFurther(request)),
      check,
      accept: order => intake.accept(order, origin),
      memory,
      toProblem: createLineProblems(request),
      logCut: reason => request.log.info({ reason, batch: request.batch }, 'batch cut off'),
      representation,
      limit: config.MAX_BATCH_ORDERS,
      patience: config.REQUEST_TIMEOUT_MS
    })
  }

  const serve = async (request: FastifyRequest, reply: FastifyReply) => {
    const body = request.body as IncomingMessage | undefined
    if (!body) throw new NoBatch('The request has no body. Send orders as NDJSON, or an array of orders.')
    const { representation } = readPreferences(request.headers.prefer)
    const batch = createBatch(request, body, representation)
    reply.raw.once('close', () => running.delete(batch))
    // The connection may have been cut while the request was checked.
    if (!reply.raw.destroyed) running.add(batch)
    if (isStopping) batch.stop()
    await batch.begin().catch(error => {
      // The rest of the body may never arrive.
      if (error instanceof LateBatch) markClosing(body.socket)
      throw error
    })
    request.batch = batch.counts
    reply.header('content-type', NDJSON_TYPES[0])
    if (representation) reply.header('preference-applied', 'return=representation')
    reply.hijack()
    reply.raw.writeHead(200, reply.getHeaders() as Record<string, string>)
    batch.run(reply.raw)
  }

  return {
    serve,
    stop: () => {
      isStopping = true
      for (const batch of running) batch.stop()
    }
  }
}

/** The request itself has been counted already. It counts as its first order. */
function exceptFirst(count: () => Error | undefined): () => Error | undefined {
  let isFirst = true
  return () => {
    if (!isFirst) return count()
    isFirst = false
    return undefined
  }
}
