import { isIPv6 } from 'node:net'
import { httpErrors } from '@fastify/sensible'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { asProblem } from '../named-problem.ts'

/** uri-host [ ":" port ] of RFC 9110, section 7.2. `isIPv6` checks an address in brackets. */
const HOST = /^(?:\[([^\]]+)\]|(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})*)(?::\d*)?$/i

/** Methods whose handlers do not read a body. */
const BODYLESS = new Set(['GET', 'HEAD'])

/** Creates a check of the host and the codings in the head of a request. It returns the error to refuse the request with. */
export function createHeadCheck(): (request: FastifyRequest, reply: FastifyReply) => Error | undefined {
  // The last valid host. Nearly all requests have the same host, which is then not checked again.
  let valid = ''
  return (request, reply) => {
    const { raw, headers } = request
    const { host } = raw.headers
    if (host !== valid) {
      if (host === undefined) {
        if (raw.httpVersion === '1.1') return invalidHost('Send a Host header: HTTP/1.1 wants one.')
      } else if (!isHost(host))
        return invalidHost('The Host header is not a valid host, with or without a port.')
      else valid = host
    }
    if (hostsOf(raw.rawHeaders) > 1) return invalidHost('Send one Host header.')
    return transferFault(headers['transfer-encoding'], raw.httpVersion) ?? contentFault(request, reply)
  }
}

/** Returns what is wrong with the Transfer-Encoding (RFC 9112, sections 6.1 and 6.3). */
function transferFault(codings: string | undefined, version: string): Error | undefined {
  if (codings === undefined) return undefined
  if (version === '1.0') return invalidTransferEncoding('HTTP/1.0 has no Transfer-Encoding.')
  const names = codings.split(',').map(name => name.trim().toLowerCase())
  if (names.at(-1) !== 'chunked')
    return invalidTransferEncoding('The last Transfer-Encoding must be chunked.')
  if (names.length === 1) return undefined
  return httpErrors.notImplemented('The only Transfer-Encoding that the service knows is chunked.')
}

function contentFault(request: FastifyRequest, reply: FastifyReply): Error | undefined {
  const { headers, method } = request
  const codings = headers['content-encoding']
  if (codings === undefined || BODYLESS.has(method) || request.is404) return undefined
  if (headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0)
    return undefined
  if (codings.split(',').every(name => /^\s*(?:identity)?\s*$/i.test(name))) return undefined
  reply.header('accept-encoding', 'identity')
  return asProblem(
    'unsupported-content-coding',
    httpErrors.unsupportedMediaType('Send the body as it is, without a Content-Encoding.')
  )
}

function isHost(text: string): boolean {
  const [match, literal] = HOST.exec(text) ?? []
  return match !== undefined && (literal === undefined || isIPv6(literal))
}

function hostsOf(headers: string[]): number {
  let hosts = 0
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++
  }
  return hosts
}

function invalidHost(detail: string): Error {
  return asProblem('invalid-host', httpErrors.badRequest(detail))
}

function invalidTransferEncoding(detail: string): Error {
  return asProblem('invalid-transfer-encoding', httpErrors.badRequest(detail))
}
