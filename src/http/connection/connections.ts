import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { Server as NetServer, type Socket } from 'node:net'
import { endAfterAnswer, isClosing, isLingering } from './drain-body.ts'
import { pendingReplies } from './pending.ts'

/** The pause between two checks for idle connections during a stop (ms). */
const IDLE_CHECK = 50

/**
 * The length of an empty line (bytes). An empty line is not a request yet (RFC 9112, section 2.2). Every request is
 * longer.
 */
const EMPTY_LINE = 2

/** The open connections of a server. They close in order when the server stops. */
export class Connections {
  readonly #server: Server
  readonly #open = new Set<Socket>()

  /** While the server stops: the last response of each connection. */
  #last: WeakMap<Socket, ServerResponse> | undefined

  constructor(server: Server) {
    this.#server = server
    server.on('connection', (socket: Socket) => {
      this.#open.add(socket)
      socket.once('close', () => this.#open.delete(socket))
    })
    const serve = server.listeners('request')
    server.removeAllListeners('request')
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      // The client knows already that nothing more is answered (RFC 9112, section 9.6).
      if (isClosing(request.socket) || this.#last?.get(request.socket)?.headersSent) return
      if (this.#last) this.#endWith(response, this.#last)
      for (const listener of serve) listener.call(server, request, response)
    })
  }

  /** Closes each connection after its next answer, or after the last answer if the client pipelines. */
  endWithAnswers(): void {
    this.#last ??= new WeakMap()
  }

  /**
   * Accepts no new connections. Closes unused connections at once, and the others when they become idle. Resolves when
   * all are closed. After `patience` ms it refuses incomplete requests. `grace` ms later it closes every connection
   * without an answer.
   */
  async close(patience: number, grace: number): Promise<void> {
    // The method `close` of the HTTP server would stop its check for requests that take too long.
    const closed = new Promise<void>(resolve => {
      NetServer.prototype.close.call(this.#server, () => resolve())
    })
    const timers = [
      setInterval(() => this.#closeUnused(), IDLE_CHECK),
      setTimeout(() => this.#refuseIncomplete(), patience),
      setTimeout(() => this.#closeWithoutAnswer(), patience + grace)
    ]
    this.#closeUnused()
    await closed
    for (const timer of timers) clearTimeout(timer)
  }

  #endWith(response: ServerResponse, last: WeakMap<Socket, ServerResponse>): void {
    const { socket } = response.req
    const before = last.get(socket)
    if (before) {
      before.shouldKeepAlive = true
      before.removeHeader('connection')
    }
    response.shouldKeepAlive = false
    endAfterAnswer(response.req)
    last.set(socket, response)
  }

  #closeUnused(): void {
    const busy: Socket[] = []
    for (const socket of this.#open) {
      if (pendingReplies(socket).length > 0) busy.push(socket)
      else if (socket.bytesRead <= EMPTY_LINE) socket.destroy()
    }
    // For Node.js, a connection is idle when its answer is written, even if a slow client has not received the answer.
    for (const socket of busy) socket.destroy = () => socket
    this.#server.closeIdleConnections()
    for (const socket of busy) Reflect.deleteProperty(socket, 'destroy')
  }

  #refuseIncomplete(): void {
    for (const socket of this.#open) {
      if (isLingering(socket)) socket.destroy()
      else if (!pendingReplies(socket).some(({ request }) => request.raw.complete))
        this.#server.emit('clientError', new IncompleteAtStop(), socket)
    }
  }

  #closeWithoutAnswer(): void {
    for (const socket of this.#open) if (pendingReplies(socket).length === 0) socket.destroy()
  }
}

/** A request is incomplete when a stop can wait no longer. */
class IncompleteAtStop extends Error {
  override name = 'IncompleteAtStop'
  /** The code that Node.js uses when a request takes too long. */
  readonly code = 'ERR_HTTP_REQUEST_TIMEOUT'
}
