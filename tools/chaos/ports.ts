import { portFault } from '../local/ports.ts'

/**
 * So many free ports below those that the system gives to outgoing connections: a client that knocks at the port of a dead
 * server would else now and then be given that very port, be connected to itself, and keep the server from coming back.
 */
export async function choosePorts(count: number): Promise<number[]> {
  const chosen: number[] = []
  while (chosen.length < count) {
    const port = 20_000 + Math.floor(Math.random() * 10_000)
    if (!chosen.includes(port) && !(await portFault(port))) chosen.push(port)
  }
  return chosen
}
