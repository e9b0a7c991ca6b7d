import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** What a waiting client has received. */
export interface WaitingClient {
  socket: Socket
  /** The ids of the orders in the answers or events, in order. */
  orders: string[]
  /** For each of them, the time from its completion to its arrival (ms). */
  delays: number[]
  /** The last id of the stream; '' for none. */
  lastId: string
  /** Whether the service has closed the connection or ended the answer. */
  ended: boolean
}

const DOCUMENT = /\{"order_id":"([^"]+)"[^}]*?"status":"completed"[^}]*?"updated_at":"([^"]+)"/g
const ID = /^id: (.+)$/gm

/** Opens a connection, sends one request, and reads the documents of completed orders from whatever arrives. */
export async function openWaiting(port: number, bytes: string): Promise<WaitingClient> {
  const socket = connect({ port, host: '127.0.0.1' })
  const client: WaitingClient = { socket, orders: [], delays: [], lastId: '', ended: false }
  await once(socket, 'connect')
  let rest = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    const now = Date.now()
    const text = rest + chunk
    const end = text.lastIndexOf('}') + 1
    for (const [, id = '', updatedAt = ''] of text.slice(0, end).matchAll(DOCUMENT)) {
      client.orders.push(id)
      client.delays.push(now - Date.parse(updatedAt))
    }
    for (const [, id = ''] of text.matchAll(ID)) client.lastId = id
    // The last chunk of a chunked answer.
    if (text.endsWith('0\r\n\r\n')) client.ended = true
    rest = text.slice(end).slice(-4096)
  })
  socket.on('close', () => {
    client.ended = true
  })
  socket.on('error', () => {})
  socket.write(bytes)
  return client
}

/** Returns a request with a header for each pair. */
export function requestOf(line: string, headers: Record<string, string>, body = ''): string {
  const all = { host: 'x', ...headers, ...(body !== '' && { 'content-length': String(body.length) }) }
  const rendered = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${line} HTTP/1.1\r\n${rendered.join('')}\r\n${body}`
}

/** Sends orders on some connections, one at a time on each, for a time (ms). */
export async function sendOrders(
  port: number,
  connections: number,
  time: number
): Promise<{ accepted: number; seconds: number }> {
  const began = performance.now()
  let accepted = 0
  let next = 0
  const round = Math.random().toString(36).slice(2)
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true })
      const { promise, resolve } = Promise.withResolvers<void>()
      const send = () => {
        const body = `{"order_id":"speed-${round}-${next++}","amount":12.5}`
        socket.write(requestOf('POST /orders', { 'content-type': 'application/json' }, body))
      }
      socket.setEncoding('latin1').on('data', (chunk: string) => {
        if (!chunk.endsWith('}')) return
        if (chunk.startsWith('HTTP/1.1 202')) accepted++
        if (performance.now() - began < time) send()
        else socket.end(resolve)
      })
      send()
      await promise
    })
  )
  return { accepted, seconds: (performance.now() - began) / 1000 }
}
