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
 * A young generation of a fixed size: by default it grows, and a worker with a long backlog needs a third more memory. A
 * smaller one costs the api a tenth of its speed.
 * No allocation-site pretenuring: with a hundred requests in flight V8 treats some of their objects as long-lived and
 * allocates them in the old generation, where they keep their requests in memory until the next full collection. That costs
 * an api with 256 connections a fifth of its processor time.
 */
export const nodeFlags = [
  '--min-semi-space-size=16',
  '--max-semi-space-size=16',
  '--no-allocation-site-pretenuring'
]

/** The modes of the service; each one is a process. */
export const modes = ['api', 'worker'] as const

/** One mode of the service to start. Its log is `<dir>/<mode>.log`. */
export interface ServiceOptions {
  mode: (typeof modes)[number]
  dir: string
  env: NodeJS.ProcessEnv
  host: string
  port?: number | undefined
  signal: AbortSignal
}

/** Starts one mode of the service and resolves when its `GET /health/ready` answers 200. */
export function startService({ mode, dir, env, host, port, signal }: ServiceOptions): Promise<LocalServer> {
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
    notReady: port => checkReady(`${baseUrl(host, port)}/health/ready`)
  })
}

/** Ends the processes of the service that a killed launcher left running. */
export async function endLeftoverServices(dir: string): Promise<void> {
  await Promise.all(modes.map(name => endLeftover({ name, dir, mark: main, graceMs: graceMs(process.env) })))
}

/** The URL at which a client on this machine reaches a server that listens on `host`. */
export function baseUrl(host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}

// Longer than the service ever takes to stop, so that only a hanging one is killed.
function graceMs({ SHUTDOWN_GRACE_MS, DRAIN_DELAY_MS }: NodeJS.ProcessEnv): number {
  const grace = Number(SHUTDOWN_GRACE_MS || 15_000) + Number(DRAIN_DELAY_MS || 500) + 5000
  return Number.isFinite(grace) ? grace : 20_500
}

/** Returns why a URL does not answer 200; undefined when it does. */
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

/** The most checks before a store counts as unavailable, and the pause between (ms): a first start creates tables. */
const CHECKS = 10
const BETWEEN_CHECKS = 500

/**
 * Returns the stores that a service reports as unavailable; none when it does not answer. Waits some seconds for them,
 * or until `signal` is aborted.
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
