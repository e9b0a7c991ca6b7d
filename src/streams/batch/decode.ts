import { Compile } from 'typebox/compile'
import { type Message, type ResolvedFunction, TerminalError, versionsOf } from '../function.ts'
import type { Delivery } from '../group/delivery.ts'
import { isTooLarge, LARGEST_MESSAGE } from '../limits.ts'

/** A delivery and its message. A `fault` states why the function cannot handle the message. */
export interface Decoded {
  delivery: Delivery
  message: Message
  fault?: Error
}

/** This process does not support the version of the message. A newer process may support it. */
export class UnknownVersion extends Error {
  override name = 'UnknownVersion'
}

/** The message is corrupt or too large: no function can handle it, and it cannot be redriven. */
export class UnusableMessage extends TerminalError {
  override name = 'UnusableMessage'
}

/**
 * Creates the decoder of a function, and compiles the function's schema. The decoder converts a delivery to a message,
 * or finds its fault. `partition` is part of each message's `effectKey`.
 */
export function createDecoder(
  definition: ResolvedFunction,
  partition: number
): (delivery: Delivery) => Decoded {
  const schema = Compile(definition.schema)
  const versions = versionsOf(definition)

  const decodeBody = (message: Message, { record }: Delivery): Error | undefined => {
    // No worker will ever support a message without a version.
    if (record.v === '') return new TerminalError('invalid', 'the message has no version (field v)')
    if (!versions.includes(record.v)) {
      const known = versions.join(', ')
      return new UnknownVersion(`the message has version ${record.v}, ${definition.name} knows ${known}`)
    }
    try {
      message.body = JSON.parse(record.data)
    } catch (cause) {
      return new TerminalError('invalid', 'the data of the message is not JSON', { cause })
    }
    if (schema.Check(message.body)) return undefined
    const faults = schema.Errors(message.body).map(fault => `${fault.instancePath || '/'} ${fault.message}`)
    return new TerminalError('invalid', faults.join('; '))
  }

  return delivery => {
    const { id, record } = delivery
    const message: Message = {
      id,
      body: undefined,
      // Ids are unique in their partition only.
      effectKey: `${definition.name}:${partition}:${id}`,
      attempt: record.attempts + 1,
      version: record.v,
      redriven: record.redriven !== '',
      ...(record.redrive && {
        redrive: { ...record.redrive, at: new Date(record.redrive.at).toISOString() }
      }),
      requestId: record.requestId,
      traceparent: record.traceparent,
      ordinal: record.ordinal
    }
    const fault = unusable(delivery) ?? decodeBody(message, delivery)
    return fault ? { delivery, message, fault } : { delivery, message }
  }
}

function unusable({ corrupt, record }: Delivery): UnusableMessage | undefined {
  if (corrupt) return new UnusableMessage('corrupt', 'the record of the message cannot be read')
  const { v, data, requestId, traceparent, ordinal } = record
  if (!isTooLarge(v, data, requestId, traceparent, ordinal)) return undefined
  return new UnusableMessage('too-large', `the message is larger than ${LARGEST_MESSAGE} bytes`)
}
