import { createHmac } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from '../client.ts'

/** A server that receives the events of a tenant as webhooks. */
export interface Receiver {
  name: string
  tenant: string
  /** How often each event was delivered and answered with 204, by the id of the event. */
  received: Map<string, number>
  /** Requests with a wrong signature, id or body. */
  faulty: string[]
  close: () => void
}

/** How a receiver answers. */
export interface ReceiverOptions {
  name: string
  tenant: string
  /** The time before each answer (ms). */
  pause: number
  /** Every how many events the first delivery is answered with 500; 0 for none. */
  failEvery: number
  /** Creates the endpoint. */
  client: Client
  headers: Record<string, string>
}

/** Starts a receiver, and creates its endpoint. @throws {Error} when the service refuses the endpoint. */
export async function startReceiver(options: ReceiverOptions): Promise<Receiver> {
  const { name, tenant, pause, failEvery, client, headers } = options
  const received = new Map<string, number>()
  const failed = new Set<string>()
  const faulty: string[] = []
  let secret = ''
  let events = 0

  const answer = async (request: IncomingMessage): Promise<number> => {
    const body = await text(request)
    await delay(pause)
    const id = String(request.headers['webhook-id'])
    const fault = faultOf(request, body, secret)
    if (fault !== '') faulty.push(`${id}: ${fault}`)
    if (!received.has(id) && !failed.has(id) && failEvery > 0 && ++events % failEvery === 0) {
      failed.add(id)
      return 500
    }
    received.set(id, (received.get(id) ?? 0) + 1)
    return 204
  }
  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    // A worker that is killed cuts its requests off.
    const status = await answer(request).catch(() => undefined)
    if (status === undefined) response.destroy()
    else response.writeHead(status).end()
  }
  const server = createServer((request, response) => void serve(request, response))
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const { status, text: created } = await client.post('/webhook-endpoints', JSON.stringify({ url }), headers)
  if (status !== 201) throw new Error(`the endpoint of ${name} was refused: ${status} ${created}`)
  secret = JSON.parse(created).secret
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  return { name, tenant, received, faulty, close }
}

/** Returns why a request does not follow Standard Webhooks; '' when it does. */
function faultOf({ headers }: IncomingMessage, body: string, secret: string): string {
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  const signature = `v1,${createHmac('sha256', key).update(signed).digest('base64')}`
  if (headers['webhook-signature'] !== signature) return 'a wrong signature'
  const { type, data } = JSON.parse(body)
  const id = String(headers['webhook-id'])
  return id.endsWith(`${data.order_id}:${data.status}`) && type === `order.${data.status}`
    ? ''
    : 'another order'
}
