import type { FastifyInstance, FastifyRequest } from 'fastify'
import { findFaults, type JsonFault } from './json-faults.ts'

/** The text is not valid JSON. */
export class InvalidJson extends Error {
  override name = 'InvalidJson'
}

/** The body, or an order in it, is valid JSON, but parsing would silently change it. `faults` names the places. */
export class RefusedJson extends Error {
  override name = 'RefusedJson'
  readonly faults: JsonFault[]

  constructor(faults: JsonFault[], what: string) {
    super(`The ${what} is JSON, but ${faults[0]?.detail}.`)
    this.faults = faults
  }
}

type Done = (error: Error | null, body?: unknown) => void

/**
 * Makes JSON the only media type of a body. An empty body counts as a missing body. The schema of a route decides
 * whether a body is required.
 */
export function acceptJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'string' },
    (_request, text: string, done: Done) => {
      done(null, text === '' ? undefined : readJson(text))
    }
  )
  // A client may name a media type and send no body. Fastify would refuse a type that has no parser.
  app.addHook('onRequest', ({ headers }, _reply, done) => {
    if (headers['content-type'] !== undefined && isEmpty(headers)) delete headers['content-type']
    done()
  })
}

function isEmpty(headers: FastifyRequest['headers']): boolean {
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = headers
  return length === '0' && encoding === undefined
}

/**
 * Parses a JSON text. `what` names it in an error.
 * @throws {InvalidJson} when it is not JSON.
 * @throws {RefusedJson} when parsing would change it.
 */
export function readJson(sent: string, what = 'body'): unknown {
  // Some programs write a byte order mark first. A reader may ignore it (RFC 8259, section 8.1).
  const text = sent.charCodeAt(0) === 0xfe_ff ? sent.slice(1) : sent
  const value = parse(text, what)
  const faults = findFaults(text, value)
  if (faults.length > 0) throw new RefusedJson(faults, what)
  return value
}

function parse(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new InvalidJson(`The ${what} is not valid JSON.`, { cause })
  }
}
