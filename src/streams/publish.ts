import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { FunctionSettings } from '../../schema/config/function.ts'
import type { RedisStore } from '../stores/redis/store.ts'
import { versionsOf } from './function.ts'
import type { Keys } from './keys.ts'
import { isTooLarge, LARGEST_MESSAGE } from './limits.ts'

/**
 * The request that caused a message. A `Message` has these fields, so a function can pass the message that it handles.
 */
export interface Origin {
  /** Appears in the log lines of the function that handles the message; '' for none. */
  requestId: string
  /** W3C traceparent; '' for none. */
  traceparent: string
}

/** The options of `publish` that have a default. */
export interface PublishOptions {
  /** Messages with the same key go to the same partition. Without a key, the partition is random. */
  key?: string
  /** The version of the message's schema (field `v`). '1' by default. */
  version?: string
  /** The request that causes the message. None by default. */
  origin?: Origin
}

/** A message that can never be published: its stream, version or body is invalid, or it is too large. */
export class PublishRefused extends Error {
  override name = 'PublishRefused'

  constructor(stream: unknown, fault: string, options?: ErrorOptions) {
    super(`The message cannot be published to ${JSON.stringify(stream)}: ${fault}`, options)
  }
}

/**
 * Appends a message to a queue and returns its id, which is unique in its partition.
 * @throws {PublishRefused} when the message can never be published. Nothing has been sent.
 * @throws {StoreUnavailable} when Redis does not confirm the message. It may have been appended.
 */
export type Publish = (stream: string, body: unknown, options?: PublishOptions) => Promise<string>

const STREAM: TSchema & { description?: string } = FunctionSettings.properties.stream
const streamName = Compile(STREAM)
const [DEFAULT_VERSION = ''] = versionsOf({})

/** Creates `publish`. It refuses the streams in `reserved`: only the service writes to them. */
export function createPublish(redis: RedisStore, keys: Keys, reserved: readonly string[]): Publish {
  return async (stream, body, { key, version = DEFAULT_VERSION, origin } = {}) => {
    if (!streamName.Check(stream)) throw new PublishRefused(stream, `${STREAM.description}`)
    if (reserved.includes(stream))
      throw new PublishRefused(stream, 'only the service writes to it. Use a queue of your own.')
    if (typeof version !== 'string' || version === '')
      throw new PublishRefused(stream, 'its version is not a text of at least one character.')
    const data = toJson(stream, body)
    const { requestId = '', traceparent = '' } = origin ?? {}
    if (isTooLarge(version, data, requestId, traceparent))
      throw new PublishRefused(stream, `it is larger than ${LARGEST_MESSAGE} bytes.`)
    const partition = key === undefined ? randomPartition(keys.partitions) : keys.partitionOf(key)
    const fields = ['v', version, 'data', data, 'request_id', requestId, 'traceparent', traceparent]
    return redis
      .masterOf(partition)
      .run(async client => (await client.xadd(keys.stream(stream, partition), '*', ...fields)) as string)
  }
}

function toJson(stream: string, body: unknown): string {
  let data: string | undefined
  try {
    data = JSON.stringify(body)
  } catch (cause) {
    throw new PublishRefused(stream, `its body cannot be written as JSON: ${(cause as Error).message}`, {
      cause
    })
  }
  if (data === undefined)
    throw new PublishRefused(stream, `its body is ${typeof body}, which JSON does not have.`)
  return data
}

function randomPartition(partitions: number): number {
  return Math.floor(Math.random() * partitions)
}
