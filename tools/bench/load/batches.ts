import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'

/** The orders of one request, as many as the service takes by default. */
const SIZE = 10_000

const ACCEPTED = Buffer.from('"status":202')

let loads = 0

/**
 * Posts `count` new orders in batches of NDJSON, one batch after another on one connection. Returns the orders a second.
 * The bodies are made before the time begins, because the client shares the machine with the service.
 * @throws when an order is not accepted, because the rate must count only accepted orders.
 */
export async function postBatches(
  url: string,
  count: number,
  signal: AbortSignal
): Promise<{ rate: number }> {
  const tag = `${process.pid.toString(36)}b${(++loads).toString(36)}`
  const bodies = Array.from({ length: Math.ceil(count / SIZE) }, (_, number) =>
    createBody(`${tag}-${number}`, Math.min(SIZE, count - number * SIZE))
  )
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  try {
    const began = performance.now()
    let accepted = 0
    for (const body of bodies) accepted += await post(`${url}/orders/batch`, body, agent, signal)
    if (accepted !== count)
      throw new Error(`${url}: ${count - accepted} of ${count} orders were not accepted`)
    return { rate: count / ((performance.now() - began) / 1000) }
  } finally {
    agent.destroy()
  }
}

/** Creates a body. Its orders are like those of `orders.lua`. */
function createBody(tag: string, count: number): Buffer {
  const lines = Array.from({ length: count }, (_, number) => {
    const digits = Math.floor(Math.random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0')
    const amount = (100 + Math.floor(Math.random() * 999_900)) / 100
    return `{"order_id":"${digits}-${tag}-${number}","amount":${amount}}\n`
  })
  return Buffer.from(lines.join(''))
}

/** Sends a body, and reads the results meanwhile. Returns the number of orders that were accepted. */
async function post(url: string, body: Buffer, agent: Agent, signal: AbortSignal): Promise<number> {
  const headers = { 'content-type': 'application/x-ndjson', 'content-length': body.length }
  const sent = request(url, { method: 'POST', agent, headers, signal })
  sent.end(body)
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  let accepted = 0
  let rest = Buffer.alloc(0)
  for await (const chunk of response as AsyncIterable<Buffer>) {
    const bytes = Buffer.concat([rest, chunk])
    let end = 0
    for (let at = bytes.indexOf(ACCEPTED); at !== -1; at = bytes.indexOf(ACCEPTED, end)) {
      accepted++
      end = at + ACCEPTED.length
    }
    // A match may be split between two chunks.
    rest = bytes.subarray(Math.max(end, bytes.length - ACCEPTED.length + 1))
  }
  return accepted
}
