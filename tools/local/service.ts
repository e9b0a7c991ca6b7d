import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Health } from '../../schema/http/health.ts'
import { endLeftover } from './process.ts'
import { type LocalServer, startServer } from './server.ts'

/** The top folder of the repository. */
export const root = join(import.meta.dirname, '../..')

const main = join(root, 'src/main.ts')

/**
 * The flags of Node.js, the same as in the image.
 *
 * The young generation has a fixed size. By default it grows, and a worker with a long backlog needs a third more
 * memory. A smaller size makes the api a tenth slower.
 *
 * Allocation-site pretenuring is off. With a hundred requests in flight, V8 would treat some of their objects as
 * long-lived and allocate them in the old generation. There they keep their requests in memory until the next full
 * collection. This costs an api with 256 connections a fifth of its processor time.
 */
export const nodeFlags = [
  '--min-semi-space-size=16',
  '--max-semi-space-size=16',
  '--no-allocation-site-pretenuring'
]

/** The modes of the service. Each mode is a process. */
export const modes = ['api', 'worker'] as const

/** One mode of the service to start. Its log is `<dir>/<mode>.log`. */
export interface ServiceOptions {
  mode: (typeof modes)[number]
  dir: string
  env: NodeJS.ProcessEnv
  host: string
  port?: number | undefined
  /** The probe that shows that the process has started. Without its stores, a process is `live` and not `ready`. */
  probe?: 'ready' | 'live'
  signal: AbortSignal
}

/** Starts one mode of the service. Resolves when its probe (`ready` by default) answers 200. */
export function startService(options: ServiceOptions): Promise<LocalServer> {
  const { mode, dir, env, host, port, probe = 'ready', signal } = options
  return startServer({
    name: mode,
    dir,
    mark: main,
    command: process.execPath,
    args: () => [...nodeFlags, main],
    env: port => ({ ...env, MODE: mode, PORT: String(port) }),
    cwd: root,
    host,
    port,
    graceMs: graceMs(env),
    readyWithinMs: 60_000,
    signal,
    notReady: port => checkReady(`${baseUrl(host, port)}/health/${probe}`)
  })
}

/** Stops the processes of the service that a killed launcher left running. */
export async function endLeftoverServices(dir: string): Promise<void> {
  await Promise.all(modes.map(name => endLeftover({ name, dir, mark: main, graceMs: graceMs(process.env) })))
}

/** Returns the URL for clients on this machine of a server that listens on `host`. */
export function baseUrl(host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}

// This time is longer than the service needs to stop, so only a process that hangs is killed.
function graceMs({ SHUTDOWN_GRACE_MS, DRAIN_DELAY_MS }: NodeJS.ProcessEnv): number {
  const grace = Number(SHUTDOWN_GRACE_MS || 15_000) + Number(DRAIN_DELAY_MS || 500) + 5000
  return Number.isFinite(grace) ? grace : 20_500
}

/** Returns the reason why a URL does not answer 200; undefined if it answers 200. */
export async function checkReady(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) })
    const body = (await response.text()).slice(0, 500)
    return response.status === 200 ? undefined : `GET ${url} answers ${response.status} ${body}`
  } catch (error) {
    const { cause, message } = error as Error
    return `GET ${url} fails: ${cause instanceof Error ? cause.message || message : message}`
  }
}

/** The most checks, and the pause between them (ms). A store needs some time at the first start to create tables. */
const CHECKS = 20
const BETWEEN_CHECKS = 500

/**
 * Waits some seconds until all stores are available, or until `signal` is aborted. Returns the stores that the service
 * then reports as unavailable. Returns no store if the service does not answer.
 */
export async function unavailableStores(url: string, signal: AbortSignal): Promise<string[]> {
  for (let check = 1; ; check++) {
    const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(5000) }).catch(
      () => undefined
    )
    const { services } = ((await response?.json().catch(() => undefined)) ?? {}) as Partial<Health>
    const unavailable = [
      ...(services?.redis === 'disconnected' ? ['Redis'] : []),
      ...(services?.database === 'disconnected' ? ['MySQL'] : [])
    ]
    if (unavailable.length === 0 || check === CHECKS || signal.aborted) return unavailable
    await sleep(BETWEEN_CHECKS)
  }
}
