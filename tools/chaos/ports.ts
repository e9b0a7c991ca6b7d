import { portFault } from '../local/ports.ts'

/**
 * Chooses free ports below the range of outgoing connections. Within this range, a client of a killed server might get
 * the port of the server, connect to itself, and block the restart of the server.
 */
export async function choosePorts(count: number): Promise<number[]> {
  const chosen: number[] = []
  while (chosen.length < count) {
    const port = 20_000 + Math.floor(Math.random() * 10_000)
    if (!chosen.includes(port) && !(await portFault(port))) chosen.push(port)
  }
  return chosen
}
