import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** A TCP proxy in front of a store. It can hold back what a process sends from a chosen point on. */
export interface StoreProxy {
  port: number
  /**
   * Holds back the data of a connection that has sent all of `marks` in this order, from the last mark on. Resolves
   * when a connection is held back for the first time.
   */
  holdAt: (...marks: string[]) => Promise<void>
  /** Sends the held data of the connections that are still open, and stops holding data back. */
  release: () => void
  /** Delays each answer of the store, in milliseconds. */
  slow: (ms: number) => void
  /** Blocks all data on the open connections without closing them. New connections work. */
  freeze: () => void
  /** Forwards new connections to another port. Open connections keep their port. */
  moveTo: (port: number) => void
}

interface Link {
  store: Socket
  /** The end of the sent data, which may contain the start of a mark. */
  tail: string
  /** The number of marks that were found. */
  seen: number
  held: Buffer[]
  frozen: boolean
}

/** Starts a proxy in front of a port of this machine. The proxy stops when the running test ends. */
export async function startProxy(port: number): Promise<StoreProxy> {
  const links = new Set<Link>()
  const clients = new Set<Socket>()
  let target = port
  let marks: string[] = []
  let reached = () => {}
  let pause = 0

  const forward = (link: Link, chunk: Buffer) => {
    if (link.frozen) return
    if (link.held.length > 0) return void link.held.push(chunk)
    let text = link.tail + chunk.toString('latin1')
    for (let mark = marks[link.seen]; mark !== undefined && text.includes(mark); mark = marks[link.seen]) {
      text = text.slice(text.indexOf(mark) + mark.length)
      link.seen++
    }
    link.tail = text.slice(-200)
    if (marks.length === 0 || link.seen < marks.length) return void link.store.write(chunk)
    link.held.push(chunk)
    reached()
  }

  const server = createServer(client => {
    const store = connect({ port: target, host: '127.0.0.1', noDelay: true })
    const link: Link = { store, tail: '', seen: 0, held: [], frozen: false }
    links.add(link)
    client.setNoDelay(true)
    client.on('data', chunk => forward(link, chunk))
    store.on('data', chunk => {
      if (link.frozen) return
      if (pause === 0) client.write(chunk)
      else setTimeout(() => client.write(chunk), pause)
    })
    for (const socket of [client, store]) {
      socket.on('error', () => {})
      socket.on('close', () => {
        links.delete(link)
        client.destroy()
        store.destroy()
      })
    }
    clients.add(client)
    client.on('close', () => clients.delete(client))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    for (const client of clients) client.destroy()
  })
  return {
    port: (server.address() as AddressInfo).port,
    holdAt: (...next) =>
      new Promise(resolve => {
        marks = next
        for (const link of links) Object.assign(link, { seen: 0, tail: '' })
        reached = resolve
      }),
    release: () => {
      marks = []
      for (const link of links) for (const chunk of link.held.splice(0)) link.store.write(chunk)
    },
    slow: ms => {
      pause = ms
    },
    freeze: () => {
      for (const link of links) link.frozen = true
    },
    moveTo: next => {
      target = next
    }
  }
}
