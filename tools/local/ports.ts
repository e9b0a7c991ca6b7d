import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'

/** Returns a free port of 127.0.0.1. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Tries to listen on a port. Returns the error code, such as `EADDRINUSE`; undefined if it is possible. */
export async function portFault(port: number, host = '127.0.0.1'): Promise<string | undefined> {
  // On some systems, a process can listen on one address while another process listens on all addresses.
  if (await answers(port, host)) return 'EADDRINUSE'
  const server = createServer().listen(port, host)
  try {
    await once(server, 'listening')
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'EADDRINUSE'
  }
  server.close()
  await once(server, 'close')
  return undefined
}

async function answers(port: number, host: string): Promise<boolean> {
  const socket = connect({ port, host, timeout: 1000 })
  socket.once('timeout', () => socket.destroy(new Error('no answer')))
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
