import { Compile } from 'typebox/compile'
import type { Message, StreamFunction } from './function.ts'

/** One entry of a stream as Redis gives it: its id, then field, value, field, value … */
export type Entry = [id: string, fields: string[]]

/** The message in an entry does not match what its function expects. */
export class InvalidMessage extends Error {
  override name = 'InvalidMessage'
}

/** The message has a version that this process does not know; a newer one will. */
export class UnknownVersion extends Error {
  override name = 'UnknownVersion'
}

/** Turns entries into messages: `undefined` and a cause for one that cannot be handed to the function. */
export type Decoder = (entry: Entry) => { message: Message; fault?: Error }

/** A decoder for the messages of one function. The compiled schema is the function's own. */
export function createDecoder(definition: StreamFunction): Decoder {
  const schema = Compile(definition.schema)
  return ([id, list]) => {
    const fields = new Map<string, string>()
    for (let i = 0; i + 1 < list.length; i += 2) fields.set(list[i] as string, list[i + 1] as string)
    const message: Message = {
      id,
      body: undefined,
      requestId: fields.get('request_id') ?? '',
      traceparent: fields.get('traceparent') ?? ''
    }
    const version = fields.get('v')
    if (version !== definition.version) {
      return {
        message,
        fault: new UnknownVersion(
          `the message has version ${version}, ${definition.name} knows ${definition.version}`
        )
      }
    }
    try {
      message.body = JSON.parse(fields.get('data') ?? '')
    } catch (cause) {
      return { message, fault: new InvalidMessage('the data of the message is not JSON', { cause }) }
    }
    if (schema.Check(message.body)) return { message }
    const faults = schema.Errors(message.body).map(fault => `${fault.instancePath || '/'} ${fault.message}`)
    return { message, fault: new InvalidMessage(faults.join('; ')) }
  }
}
