import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'

/** The replies under way on each connection, in the order of their requests: several, where a client pipelines. */
const pending = new WeakMap<Socket, Set<FastifyReply>>()

/** Requests that were answered before their body had arrived. */
const answeredEarly = new WeakMap<Socket, IncomingMessage>()

/** Notes a reply that begins. Returns the replies of its connection when it is the first one there. */
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

/** Notes that a reply is sent. */
export function endReply(reply: FastifyReply): void {
  const { raw } = reply.request
  pending.get(raw.socket)?.delete(reply)
  if (!raw.complete) answeredEarly.set(raw.socket, raw)
}

/** The replies of a connection that are not sent yet, in the order of their requests. */
export function pendingReplies(socket: Socket): FastifyReply[] {
  return [...(pending.get(socket) ?? [])].filter(({ raw }) => !raw.writableFinished)
}

/** Whether the request that arrives on a connection has its answer already. */
export function isAnswered(socket: Socket): boolean {
  return answeredEarly.get(socket)?.complete === false
}

/** Resolves when these replies are sent, or their connection is closed. */
export async function sent(replies: FastifyReply[]): Promise<void> {
  await Promise.all(
    replies.map(({ raw }) => raw.closed || new Promise<void>(resolve => raw.once('close', () => resolve())))
  )
}
