import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { onTestFinished } from 'vitest'
import { until } from './space.ts'

/** A request that a partner has received. */
export interface PartnerRequest {
  method: string
  path: string
  headers: IncomingHttpHeaders
  /** The parsed JSON of the body; undefined for an empty body. */
  body: unknown
}

/** An HTTP server that replaces the service of another team. */
export interface Partner {
  url: string
  /** The requests that the server has received so far. */
  requests: PartnerRequest[]
}

/**
 * Starts an HTTP server. `answer` returns the status, or the status and the headers, of each answer. The server stops
 * when the running test ends.
 */
export async function usePartner(
  answer: (request: PartnerRequest) => number | [status: number, headers: Record<string, string>]
): Promise<Partner> {
  const requests: PartnerRequest[] = []
  const server = createServer(async (request, response) => {
    const body = await text(request)
    const { method = '', url = '', headers } = request
    const received = { method, path: url, headers, body: body === '' ? undefined : JSON.parse(body) }
    requests.push(received)
    const [status, own] = [answer(received)].flat() as [number, Record<string, string>?]
    response.writeHead(status, own).end()
  }).listen(0, '127.0.0.1')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = await until('the partner listens', () => server.address() as AddressInfo | null)
  return { url: `http://127.0.0.1:${port}`, requests }
}
