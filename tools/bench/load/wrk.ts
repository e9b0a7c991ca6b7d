import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { findProgram } from '../../local/process.ts'

const run = promisify(execFile)

/** The result of a load. */
export interface Load {
  /** The number of answers a second. */
  rate: number
  requests: number
  p50_ms: number
  p99_ms: number
  /** Answers with a status of 400 or above. */
  refused: number
  /** Requests without an answer. */
  failed: number
}

/** The target and the size of a load. */
export interface LoadOptions {
  /** The base URL, on a loopback address. */
  url: string
  seconds: number
  connections: number
  /** The API key that each order is sent with; none by default. */
  key?: string | undefined
  /** The number of items of each order; 0 by default. */
  items?: number | undefined
  /** How long the service may wait for the completion of an order before it answers (s); 0 by default. */
  wait?: number | undefined
  signal: AbortSignal
}

let loads = 0

/**
 * Posts new orders as fast as the answers come, or at a fixed rate of `perSecond`.
 * @throws when an order is refused or gets no answer, because the rate must count only accepted orders
 */
export async function postOrders(options: LoadOptions, perSecond = 0): Promise<Load> {
  return wrk('orders.lua', options, orderArguments(options, perSecond))
}

/**
 * Posts new orders as fast as the answers come, until `most` orders are accepted or the time is over. Appends the paths
 * of the accepted orders to a file.
 * @throws as `postOrders` does
 */
export async function fillOrders(options: LoadOptions, most: number, file: string): Promise<Load> {
  return wrk('fill.lua', options, [...orderArguments(options, 0), String(most), file])
}

/** Returns the arguments of a load: a tag that makes its ids unique, its rate, its seed, its key, its items, its wait. */
function orderArguments({ key = '', items = 0, wait = 0 }: LoadOptions, perSecond: number): string[] {
  const seed = ++loads
  const tag = `${process.pid.toString(36)}${seed.toString(36)}`
  return [tag, String(perSecond), String(process.pid * 1000 + seed), key, String(items), String(wait)]
}

/** Reads the paths in a file, one after another from line `from` on. */
export async function readPaths(options: LoadOptions, file: string, from = 0): Promise<Load> {
  return wrk('reads.lua', options, [file, String(from)])
}

async function wrk(script: string, options: LoadOptions, args: string[]): Promise<Load> {
  const { url, seconds, connections, signal } = options
  const command = await findProgram('wrk')
  // One thread is faster than one Node.js process. The service can use the other cores.
  const { stdout } = await run(
    command,
    [
      '--threads=1',
      `--connections=${connections}`,
      `--duration=${seconds}s`,
      '--timeout=10s',
      `--script=${script}`,
      url,
      '--',
      ...args
    ],
    // The scripts include each other by relative paths.
    { cwd: import.meta.dirname, signal, timeout: (seconds + 30) * 1000 }
  )
  const line = stdout.split('\n').find(text => text.startsWith('{'))
  if (!line) throw new Error(`wrk wrote no figures: ${stdout}`)
  const { seconds: took, ...load } = JSON.parse(line) as Omit<Load, 'rate'> & { seconds: number }
  if (load.refused + load.failed > 0)
    throw new Error(`${url}: ${load.refused} requests were refused and ${load.failed} got no answer`)
  return { ...load, rate: load.requests / took }
}
