import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** The most input that is read after the last answer (bytes), and the longest time for it (ms). */
const MOST_BYTES = 8 * 1024 * 1024
const MOST_TIME = 10_000

/** A connection stays open if the rest of a refused body is at most this long (bytes). */
const SMALL_BODY = 64 * 1024

const closing = new WeakSet<Socket>()
const lingering = new WeakSet<Socket>()

/** Returns whether a connection ends after the replies in progress. */
export const isClosing = (socket: Socket) => closing.has(socket)

/** Records that a connection ends after the replies in progress. */
export const markClosing = (socket: Socket) => closing.add(socket)

/** Returns whether the last answer of a connection is sent, and further input is only read and dropped. */
export const isLingering = (socket: Socket) => lingering.has(socket)

/**
 * Closes a connection after its last answer. Reads and drops the rest of the input, within limits, until the client
 * closes, too. An earlier close would reset the connection, and the client would not receive the answer (RFC 9112,
 * section 9.6).
 */
export function linger(socket: Socket): void {
  if (lingering.has(socket) || socket.destroyed) return
  closing.add(socket)
  lingering.add(socket)
  let left = MOST_BYTES
  const timer = setTimeout(() => socket.destroy(), MOST_TIME)
  socket.once('close', () => clearTimeout(timer))
  // The parser of Node.js must not get the rest, because it would read the rest as further requests.
  socket.removeAllListeners('data')
  socket.on('data', chunk => {
    left -= chunk.length
    if (left < 0) socket.destroy()
  })
  const close = () => socket.end(() => socket.destroy())
  if (socket.readableEnded) return void close()
  socket.once('end', close)
  socket.end()
  socket.resume()
}

/**
 * Closes the connection of a request after the answer. While the body still arrives, the connection stays open for a
 * while. Node.js would close it at once.
 */
export function endAfterAnswer(request: IncomingMessage): void {
  const { socket } = request
  const { destroySoon } = socket
  // Node.js calls this after the last answer.
  socket.destroySoon = () => {
    if (request.complete) destroySoon.call(socket)
    else linger(socket)
  }
}

/**
 * Prepares the connection of a refused request. The body of the request may not have arrived yet. The connection stays
 * open if the rest of the body is small. Otherwise it closes.
 */
export function prepareRefusal({ raw }: FastifyRequest, reply: FastifyReply): void {
  const { socket, headers } = raw
  const length =
    headers['transfer-encoding'] === undefined ? Number(headers['content-length'] ?? 0) : Infinity
  const keep = reply.raw.shouldKeepAlive && !closing.has(socket) && (raw.complete || length <= SMALL_BODY)
  // Fastify closes the connection after any faulty body. A pipelined request would then get no answer.
  if (keep && reply.hasHeader('connection')) reply.removeHeader('connection')
  if (keep || raw.complete || length === 0) return
  closing.add(socket)
  reply.header('connection', 'close')
  endAfterAnswer(raw)
}

/**
 * Reads and drops the rest of a body, within limits, while its answer is written: a client may read only after it has
 * sent everything. Closes the connection after the answer, unless the body has arrived in full by then.
 */
export function dropRest(body: IncomingMessage, response: ServerResponse): void {
  let left = MOST_BYTES
  body.on('data', chunk => {
    left -= chunk.length
    if (left < 0) body.pause()
  })
  response.once('finish', () => {
    if (!body.complete && !body.readableEnded) linger(body.socket)
  })
}
