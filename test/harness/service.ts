import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Health } from '../../schema/http/health.ts'
import { type LocalServer, startServer } from '../../tools/local/server.ts'
import { nodeFlags } from '../../tools/local/service.ts'
import { type Space, until } from './space.ts'

const MAIN = join(import.meta.dirname, '../../src/main.ts')

/** The service in its own process, as in production. */
export interface Service extends LocalServer {
  url: string
  /** Returns the log lines of the service so far. */
  lines: () => Record<string, unknown>[]
  /** Sends a signal to the process. Resolves to its exit code and signal when it has exited. */
  end: (signal: NodeJS.Signals) => Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

/**
 * Starts an entry point of the service in a space and waits until it is live. A call of a deprecated function ends the
 * process, and so does the end of the running test. When the test fails, the log is kept.
 */
export async function startEntry(
  space: Space,
  name: string,
  entry: string,
  env: Record<string, string>
): Promise<LocalServer> {
  const dir = await mkdtemp(join(tmpdir(), `orderstream-${name}-`))
  let server: LocalServer | undefined
  // This line runs before the start, so that the log of a failed start is also kept.
  onTestFinished(async ({ task }) => {
    await server?.stop()
    if (task.result?.state === 'fail') console.error(`Logs of the failed test are kept in ${dir}`)
    else await rm(dir, { recursive: true })
  })
  server = await startServer({
    name,
    dir,
    mark: entry,
    command: process.execPath,
    args: () => [...nodeFlags, '--throw-deprecation', entry],
    env: port => {
      const { PATH, NODE_COMPILE_CACHE } = process.env
      return { PATH, NODE_COMPILE_CACHE, ...space.env, ...env, PORT: String(port) }
    },
    graceMs: 20_000,
    notReady: async port => {
      const answer = await fetch(`http://127.0.0.1:${port}/health/live`).catch(error =>
        String(error.cause ?? error)
      )
      return typeof answer === 'string' ? answer : undefined
    }
  })
  return server
}

/**
 * Starts `main.ts` in a mode and waits until both stores are available to it, because a live process may still run
 * migrations. With `live`, it waits only until the process is live. Tests with an unavailable store use this.
 */
export async function startService(
  space: Space,
  mode: 'api' | 'worker',
  env: Record<string, string> = {},
  ready: 'healthy' | 'live' = 'healthy'
): Promise<Service> {
  const server = await startEntry(space, mode, MAIN, { MODE: mode, ...env })
  const url = `http://127.0.0.1:${server.port}`
  if (ready === 'healthy')
    await until(`the ${mode} is healthy`, async () => (await healthOf(url)) === 'healthy')
  return {
    ...server,
    url,
    lines: () =>
      readFileSync(server.log, 'utf8')
        .split('\n')
        // The text after the last newline is incomplete.
        .slice(0, -1)
        .filter(line => line.startsWith('{'))
        .map(line => JSON.parse(line)),
    end: async signal => {
      process.kill(server.pid, signal)
      return server.exited
    }
  }
}

/** Returns the `status` from the /health route of a service. */
export async function healthOf(url: string): Promise<Health['status']> {
  return ((await (await fetch(`${url}/health`)).json()) as Health).status
}

/** Posts one order. Returns the status, the headers and the JSON of the answer. */
export async function postOrder(url: string, order_id: string, amount: number | string) {
  const response = await fetch(`${url}/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ order_id, amount })
  })
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>
  }
}

/** Calls `work` for every item, with at most `concurrency` calls at a time. */
export async function inParallel<T>(
  items: T[],
  concurrency: number,
  work: (item: T) => Promise<void>
): Promise<void> {
  const queue = items.values()
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      for (const item of queue) await work(item)
    })
  )
}
