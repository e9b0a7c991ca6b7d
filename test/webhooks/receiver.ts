import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import { text } from 'node:stream/consumers'
import { Webhook } from 'standardwebhooks'
import { onTestFinished } from 'vitest'
import { until } from '../harness/space.ts'

/** A request that a receiver got. */
export interface Received {
  headers: IncomingHttpHeaders
  body: string
  /** When the request was complete (ms, as `performance.now`). */
  at: number
}

/** A webhook endpoint on a real server. */
export interface Receiver {
  url: string
  port: number
  received: Received[]
  /** The `webhook-id` of each request, in the order of arrival. */
  ids: () => string[]
}

/** Starts a receiver. `answer` answers a request: with a status, or by itself. It stops with the running test. */
export async function useReceiver(
  answer: (request: Received, response: ServerResponse) => number | Promise<number> | undefined
): Promise<Receiver> {
  const received: Received[] = []
  const server = createServer(async (request, response) => {
    const body = await text(request).catch(() => '')
    const one = { headers: request.headers, body, at: performance.now() }
    received.push(one)
    const status = await answer(one, response)
    if (status !== undefined) response.writeHead(status).end()
  })
  const port = await listen(server)
  onTestFinished(() => server.closeAllConnections())
  const ids = () => received.map(({ headers }) => String(headers['webhook-id']))
  return { url: `http://127.0.0.1:${port}/hook`, port, received, ids }
}

/** Starts a TCP server that only counts its connections. */
export async function useConnectionCounter(): Promise<{ port: number; connections: () => number }> {
  let connections = 0
  const server = createTcpServer(socket => {
    connections++
    socket.destroy()
  })
  return { port: await listen(server), connections: () => connections }
}

/** Lets a server listen on a free port of 127.0.0.1 until the running test ends. Returns the port. */
export async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  return (await until('the server listens', () => server.address() as AddressInfo | null)).port
}

/** Verifies a request with the public library of Standard Webhooks. Throws when the signature is wrong. */
export function verify({ body, headers }: Received, secret: string): { type: string; data: unknown } {
  return new Webhook(secret).verify(body, headers as Record<string, string>) as {
    type: string
    data: unknown
  }
}
