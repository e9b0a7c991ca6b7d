import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Health } from '../../schema/http/health.ts'
import { endLeftover } from './process.ts'
import { type LocalServer, startServer } from './server.ts'

/** The repository, from which the service is started. */
export const root = join(import.meta.dirname, '../..')

const main = join(root, 'src/main.ts')

/**
 * How Node.js is started, here as in the image.
 * A young generation of a fixed size: left at its default it grows with what passes through, so that a worker that drains a
 * long backlog comes to a third more memory than one with a short one; kept smaller, it costs the api a tenth of its speed.
 * No allocation-site pretenuring: with a hundred requests or more in flight V8 takes some of what each one makes for
 * long-lived and allocates it in the old generation, where what is dead keeps the rest of its request alive until the next
 * full collection. It costs an api with 256 connections a fifth of its processor time.
 */
export const nodeFlags = [
  '--min-semi-space-size=16',
  '--max-semi-space-size=16',
  '--no-allocation-site-pretenuring'
]

/** The roles of the service, each a process of its own here. */
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

/** Ends what a killed launcher left running of the service. */
export async function endLeftoverServices(dir: string): Promise<void> {
  await Promise.all(modes.map(name => endLeftover({ name, dir, mark: main, graceMs: graceMs(process.env) })))
}

/** Where a client on this machine reaches a server that listens on `host`. */
export function baseUrl(host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}

// Longer than the service takes at most, so that only one that hangs is killed.
function graceMs({ SHUTDOWN_GRACE_MS, DRAIN_DELAY_MS }: NodeJS.ProcessEnv): number {
  const grace = Number(SHUTDOWN_GRACE_MS || 15_000) + Number(DRAIN_DELAY_MS || 500) + 5000
  return Number.isFinite(grace) ? grace : 20_500
}

/** Why a service does not answer 200 at a URL; undefined when it does. */
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

/** How often a service is asked before a store counts as unavailable, and the pause between (ms): a first start makes tables. */
const LOOKS = 10
const BETWEEN_LOOKS = 500

/**
 * The stores that a service says it cannot use; none when it does not answer. It waits some seconds for them, or until
 * `signal` is aborted.
 */
export async function storesAway(url: string, signal: AbortSignal): Promise<string[]> {
  for (let look = 1; ; look++) {
    const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(5000) }).catch(
      () => undefined
    )
    const { services } = ((await response?.json().catch(() => undefined)) ?? {}) as Partial<Health>
    const away = [
      ...(services?.redis === 'disconnected' ? ['Redis'] : []),
      ...(services?.database === 'disconnected' ? ['MySQL'] : [])
    ]
    if (away.length === 0 || look === LOOKS || signal.aborted) return away
    await sleep(BETWEEN_LOOKS)
  }
}
