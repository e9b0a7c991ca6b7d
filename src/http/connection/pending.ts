import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'

/** The replies in progress on each connection, in the order of their requests. A client that pipelines has several. */
const pending = new WeakMap<Socket, Set<FastifyReply>>()

/** The last request on each connection that was answered before its body had arrived. */
const answeredEarly = new WeakMap<Socket, IncomingMessage>()

/**
 * Records a reply that begins. Returns the replies of its connection if the reply is the first one on that connection.
 */
export function beginReply(reply: FastifyReply): ReadonlySet<FastifyReply> | undefined {
  const { socket } = reply.request.raw
  const known = pending.get(socket)
  if (known) {
    known.add(reply)
    return undefined
  }
  const replies = new Set([reply])
  pending.set(socket, replies)
  return replies
}

/** Records that a reply is sent. */
export function endReply(reply: FastifyReply): void {
  const { raw } = reply.request
  pending.get(raw.socket)?.delete(reply)
  if (!raw.complete) answeredEarly.set(raw.socket, raw)
}

/** Returns the replies of a connection that are not sent yet, in the order of their requests. */
export function pendingReplies(socket: Socket): FastifyReply[] {
  return [...(pending.get(socket) ?? [])].filter(({ raw }) => !raw.writableFinished)
}

/** Returns whether the request that is still arriving on a connection has its answer already. */
export function isAnswered(socket: Socket): boolean {
  return answeredEarly.get(socket)?.complete === false
}

/** Resolves when these replies are sent or their connection is closed. */
export async function sent(replies: FastifyReply[]): Promise<void> {
  await Promise.all(
    replies.map(({ raw }) => raw.closed || new Promise<void>(resolve => raw.once('close', () => resolve())))
  )
}
