import { Agent, request } from 'node:http'

/** An answer. */
export interface Reply {
  status: number
  headers: NodeJS.Dict<string | string[]>
  text: string
}

/** A request got no whole answer. The message is the reason, such as a refused connection or a timeout. */
export class NoReply extends Error {
  override name = 'NoReply'
  /** The part of the body that arrived. */
  readonly received: string

  constructor(reason: string, received: string) {
    super(reason)
    this.received = received
  }
}

/** An HTTP client of one process of the service. */
export interface Client {
  name: string
  /** @throws {NoReply} */
  get: (path: string, headers?: Record<string, string>) => Promise<Reply>
  /** @throws {NoReply} */
  post: (path: string, body: string, headers?: Record<string, string>) => Promise<Reply>
  close: () => void
}

/** The address that a client connects to. */
export interface ClientOptions {
  name: string
  port: number
  /** The longest time that the client waits for a whole answer (ms). After it, the client closes the connection. */
  timeout: number
}

/** Creates a client of one process on 127.0.0.1. It keeps connections open until `close`. */
export function createClient({ name, port, timeout }: ClientOptions): Client {
  // With so many sockets no request waits for another, so slow answers do not change the rate of the load.
  const agent = new Agent({ keepAlive: true, maxSockets: 4096, maxFreeSockets: 64 })

  const send = (method: string, path: string, headers: Record<string, string>, body: string) =>
    new Promise<Reply>((resolve, reject) => {
      const chunks: Buffer[] = []
      const fail = (reason: string) => {
        clearTimeout(timer)
        reject(new NoReply(reason, Buffer.concat(chunks).toString()))
      }
      const call = request({ host: '127.0.0.1', port, agent, method, path, headers }, response => {
        response.on('data', chunk => chunks.push(chunk))
        response.on('end', () => {
          clearTimeout(timer)
          const text = Buffer.concat(chunks).toString()
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text })
        })
        response.on('error', error => fail(codeOf(error)))
        response.on('close', () => fail('cut off'))
      })
      const timer = setTimeout(() => call.destroy(new Error('timeout')), timeout)
      call.on('error', error => fail(codeOf(error)))
      call.end(body)
    })

  return {
    name,
    get: (path, headers = {}) => send('GET', path, headers, ''),
    post: (path, body, headers = {}) =>
      send(
        'POST',
        path,
        {
          ...(body !== '' && { 'content-type': 'application/json' }),
          ...headers,
          'content-length': String(Buffer.byteLength(body))
        },
        body
      ),
    close: () => agent.destroy()
  }
}

function codeOf(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? error.message
}
