import { portFault } from '../local/ports.ts'

/** The distance from the port of a Redis in a cluster to the port on which it listens for the other servers. */
const BUS = 10_000

/** The ports that this process has chosen. No server may use them yet. */
const chosen = new Set<number>()

/**
 * Chooses free ports below the range of outgoing connections. Within this range, a client of a killed server might get
 * the port of the server, connect to itself, and block the restart of the server.
 */
export async function choosePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    const port = 12_000 + Math.floor(Math.random() * BUS)
    if (chosen.has(port) || (await portFault(port)) || (await portFault(port + BUS))) continue
    chosen.add(port)
    ports.push(port)
  }
  return ports
}
