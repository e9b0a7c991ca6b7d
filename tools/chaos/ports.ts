import { portFault } from '../local/ports.ts'

/**
 * Chooses free ports below the range of outgoing connections. Otherwise a client that connects to the port of a dead
 * server might get that port itself, connect to itself, and keep the server from starting again.
 */
export async function choosePorts(count: number): Promise<number[]> {
  const chosen: number[] = []
  while (chosen.length < count) {
    const port = 20_000 + Math.floor(Math.random() * 10_000)
    if (!chosen.includes(port) && !(await portFault(port))) chosen.push(port)
  }
  return chosen
}
