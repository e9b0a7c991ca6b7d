import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** An answer as it arrived. */
export interface RawAnswer {
  status: number
  headers: Record<string, string>
  body: string
}

/** A connection that sends raw bytes. */
export interface RawClient {
  socket: Socket
  /** Returns everything that has arrived. */
  received: () => string
  /** Resolves to the answers when the server has closed its side. Rejects when the connection is reset. */
  answers: () => Promise<RawAnswer[]>
}

/** Opens a connection to a local port. The side of the client stays open until the test closes it. */
export async function open(port: number): Promise<RawClient> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  await once(socket, 'connect')
  let received = ''
  socket.setEncoding('latin1').on('data', chunk => {
    received += chunk
  })
  const ended = once(socket, 'end')
  // A test that expects no answer does not await this promise.
  ended.catch(() => {})
  return {
    socket,
    received: () => received,
    answers: async () => {
      await ended
      socket.end()
      return parse(received)
    }
  }
}

/** Sends bytes to a server, and returns its answers after it has closed the connection. */
export async function converse(port: number, bytes: string): Promise<RawAnswer[]> {
  const client = await open(port)
  client.socket.write(bytes)
  return client.answers()
}

/** Returns the statuses of answers, in order. */
export const statuses = (answers: RawAnswer[]) => answers.map(({ status }) => status)

/** Returns a request with a JSON body, as bytes. */
export function request(
  line: string,
  body: unknown = undefined,
  headers: Record<string, string | number> = {}
): string {
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body)
  const all = {
    host: 'x',
    ...(body !== undefined && { 'content-type': 'application/json', 'content-length': text.length }),
    ...headers
  }
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${line} HTTP/1.1\r\n${head.join('')}\r\n${text}`
}

/** Returns a POST of an order, as bytes. */
export const post = (order_id: string, headers: Record<string, string | number> = {}) =>
  request('POST /orders', { order_id, amount: 1 }, headers)

/** Parses answers with a Content-Length or in chunks, and interim answers without a body. */
function parse(text: string): RawAnswer[] {
  const answers: RawAnswer[] = []
  let rest = text
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n') + 4
    if (end < 4) throw new Error(`no whole answer: ${rest}`)
    const [line = '', ...fields] = rest.slice(0, end - 4).split('\r\n')
    const headers = Object.fromEntries(
      fields.map(field => {
        const [name = '', ...value] = field.split(': ')
        return [name.toLowerCase(), value.join(': ')]
      })
    )
    const [body, next] =
      headers['transfer-encoding'] === 'chunked'
        ? takeChunks(rest, end)
        : takeLength(rest, end, Number(headers['content-length'] ?? 0))
    answers.push({ status: Number(line.split(' ')[1]), headers, body })
    rest = rest.slice(next)
  }
  return answers
}

/** Returns a body and the position after it. */
function takeLength(text: string, start: number, length: number): [body: string, end: number] {
  return [text.slice(start, start + length), start + length]
}

function takeChunks(text: string, start: number): [body: string, end: number] {
  let body = ''
  for (let at = start; ; ) {
    const line = text.indexOf('\r\n', at)
    const size = Number.parseInt(text.slice(at, line), 16)
    if (line === -1 || Number.isNaN(size)) throw new Error(`no whole chunk: ${text.slice(at, at + 100)}`)
    body += text.slice(line + 2, line + 2 + size)
    at = line + 2 + size + 2
    if (size === 0) return [body, at]
  }
}
