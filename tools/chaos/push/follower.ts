import { Agent, get, type IncomingMessage } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { identityOf } from '../tenants.ts'

/** A client that follows the events of a tenant during the whole run, at one api after the other. */
export interface Follower {
  name: string
  /** The tenant of the events. */
  tenant: string
  /** When each event arrived first (ms), by the id of the event. */
  received: Map<string, number>
  /** The events that came again, and how long after the first time (ms). */
  repeats: { id: string; after: number }[]
  /** The number of connections, and of events `reset`. */
  connections: number
  resets: number
  /** Resolves when the first connection is open: the follower gets every event from then on. */
  connected: Promise<void>
  /** Follows events until aborted. Connects again after each end, with the id of the last event. */
  run: (signal: AbortSignal) => Promise<void>
}

/** The target of a follower. */
export interface FollowerOptions {
  name: string
  tenant: string
  /** The headers of its requests. */
  headers: Record<string, string>
  /** The ports of the apis. Each connection goes to the next one. */
  ports: number[]
}

/** The pause before the next connection, and the longest silence on a connection (ms). A heartbeat comes every 15 s. */
const PAUSE = 300
const SILENCE = 20_000

/** Creates a follower. It reads server-sent events as a browser does. */
export function createFollower({ name, tenant, headers, ports }: FollowerOptions): Follower {
  const agent = new Agent({ keepAlive: false })
  let lastId: string | undefined
  const { promise: connected, resolve: connect } = Promise.withResolvers<void>()
  const follower: Follower = {
    name,
    tenant,
    received: new Map(),
    repeats: [],
    connections: 0,
    resets: 0,
    connected,
    run
  }

  const receive = (block: string) => {
    const fields = Object.fromEntries(block.split('\n').map(line => line.split(/: (.*)/s, 2)))
    lastId = fields.id ?? lastId
    if (fields.event === 'reset') follower.resets++
    else if (fields.data !== undefined) {
      const status = fields.event.slice('order.'.length)
      const { order_id } = JSON.parse(fields.data)
      const id = `${identityOf({ order_id, tenant })}:${status}`
      const first = follower.received.get(id)
      if (first === undefined) follower.received.set(id, performance.now())
      else follower.repeats.push({ id, after: performance.now() - first })
    }
  }

  const follow = (port: number, signal: AbortSignal) =>
    new Promise<void>(resolve => {
      const read = (response: IncomingMessage) => {
        if (response.statusCode === 200) connect()
        let rest = ''
        response.setEncoding('utf8').on('data', (chunk: string) => {
          const blocks = (rest + chunk).split('\n\n')
          rest = blocks.pop() as string
          if (response.statusCode === 200) for (const block of blocks) receive(block)
        })
        response.on('close', resolve).on('error', () => {})
      }
      const resume = lastId === undefined ? {} : { 'last-event-id': lastId }
      const options = {
        host: '127.0.0.1',
        port,
        path: '/order-events',
        headers: { ...headers, ...resume },
        agent,
        signal
      }
      const call = get(options, read)
      call.setTimeout(SILENCE, () => call.destroy())
      call.on('error', () => resolve())
    })

  async function run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await follow(ports[follower.connections++ % ports.length] as number, signal)
      await delay(PAUSE, undefined, { signal }).catch(() => {})
    }
  }
  return follower
}
