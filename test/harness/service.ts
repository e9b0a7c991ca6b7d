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

/** The service as a process of its own, as it runs in production. */
export interface Service extends LocalServer {
  url: string
  /** Its log lines so far. */
  lines: () => Record<string, unknown>[]
  /** Ends it with a signal; resolves to how it ended. */
  end: (signal: NodeJS.Signals) => Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

/**
 * Starts an entry of the service in a space and waits until it is live. Deprecated calls end it, and so does the running
 * test's end; its log is kept when that test failed.
 */
export async function startEntry(
  space: Space,
  name: string,
  entry: string,
  env: Record<string, string>
): Promise<LocalServer> {
  const dir = await mkdtemp(join(tmpdir(), `orderstream-${name}-`))
  let server: LocalServer | undefined
  // Before the start: one that is expected to fail leaves a log as well.
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
    env: port => ({ PATH: process.env.PATH, ...space.env, ...env, PORT: String(port) }),
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
 * Starts `main.ts` in a mode and waits until it sees both stores: one that is live may still be at its migrations. Where
 * a store is away, or is kept from answering, it is enough that it is `live`.
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
        // What follows the last newline is still being written.
        .slice(0, -1)
        .filter(line => line.startsWith('{'))
        .map(line => JSON.parse(line)),
    end: async signal => {
      process.kill(server.pid, signal)
      return server.exited
    }
  }
}

/** What a service says of itself and its stores. */
export async function healthOf(url: string): Promise<Health['status']> {
  return ((await (await fetch(`${url}/health`)).json()) as Health).status
}

/** Posts one order; gives the status, and the answer's JSON. */
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

/** Does `work` for every item, so many at a time. */
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
