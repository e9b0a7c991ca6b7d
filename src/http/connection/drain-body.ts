import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** How much is read of what arrives after the last answer (bytes), and for how long (ms). */
const MOST_BYTES = 8 * 1024 * 1024
const MOST_TIME = 10_000

/** The rest of a body up to this size is read, and its connection stays open (bytes). */
const SMALL_BODY = 64 * 1024

const closing = new WeakSet<Socket>()
const lingering = new WeakSet<Socket>()

/** Whether nothing more is answered on a connection than what is under way. */
export const isClosing = (socket: Socket) => closing.has(socket)

/** Records that nothing more is answered on a connection than what is under way. */
export const markClosing = (socket: Socket) => closing.add(socket)

/** Whether the last answer of a connection is sent, and only what still arrives is read. */
export const isLingering = (socket: Socket) => lingering.has(socket)

/**
 * Ends a connection after its last answer. What the client still sends is read and dropped, within limits, until the
 * client closes too: an earlier close resets the connection, and the client loses the answer (RFC 9112, section 9.6).
 */
export function linger(socket: Socket): void {
  if (lingering.has(socket) || socket.destroyed) return
  closing.add(socket)
  lingering.add(socket)
  let left = MOST_BYTES
  const timer = setTimeout(() => socket.destroy(), MOST_TIME)
  socket.once('close', () => clearTimeout(timer))
  // The parser of Node.js reads no more of it: it would take what follows for further requests.
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
 * Prepares the connection of a request for its end after the answer: it lingers while the body still arrives. Node.js
 * would close it.
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
 * Prepares the connection of a request that is refused, perhaps before its body has arrived: it stays open where the
 * rest is small, and ends where it is not.
 */
export function prepareRefusal({ raw }: FastifyRequest, reply: FastifyReply): void {
  const { socket, headers } = raw
  const length =
    headers['transfer-encoding'] === undefined ? Number(headers['content-length'] ?? 0) : Infinity
  const keep = reply.raw.shouldKeepAlive && !closing.has(socket) && (raw.complete || length <= SMALL_BODY)
  // Fastify closes it after any faulty body. A request that came behind this one would lose its answer.
  if (keep && reply.hasHeader('connection')) reply.removeHeader('connection')
  if (keep || raw.complete || length === 0) return
  closing.add(socket)
  reply.header('connection', 'close')
  endAfterAnswer(raw)
}
