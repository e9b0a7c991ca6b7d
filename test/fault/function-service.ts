import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type LocalServer, startServer } from '../../src/local/server.ts'
import type { Space } from '../space.ts'

const ENTRY = join(import.meta.dirname, 'function-worker.ts')

/** Starts a worker with one of the functions of `function-worker.ts`; the running test's end ends it. */
export async function startFunction(
  space: Space,
  name: 'fragile' | 'slow' | 'hanging',
  env: Record<string, string> = {}
): Promise<LocalServer> {
  const server = await startServer({
    name,
    dir: await mkdtemp(join(tmpdir(), `orderstream-${name}-`)),
    mark: ENTRY,
    command: process.execPath,
    args: () => ['--throw-deprecation', ENTRY],
    env: port => ({
      PATH: process.env.PATH,
      ...space.env,
      MODE: 'worker',
      FUNCTION: name,
      ...env,
      PORT: String(port)
    }),
    graceMs: 20_000,
    // One that dies as soon as it works is ready, too.
    notReady: async port => {
      const answer = await fetch(`http://127.0.0.1:${port}/health/live`).catch(error =>
        String(error.cause ?? error)
      )
      return typeof answer === 'string' ? answer : undefined
    }
  })
  onTestFinished(() => server.stop())
  return server
}

/** Appends a message to the stream of a function. */
export async function addMessage(space: Space, name: string, n: number, does = 'work'): Promise<string> {
  const fields = { v: '1', data: JSON.stringify({ n, does }), request_id: `r-${n}`, traceparent: '' }
  const id = await space.redis.xadd(
    `{${space.env.KEY_PREFIX}:0}:${name}`,
    '*',
    ...Object.entries(fields).flat()
  )
  return id as string
}

/** What the function noted. */
export async function notesOf(space: Space): Promise<Record<string, string>> {
  return space.redis.hgetall(`${space.env.KEY_PREFIX}:notes`)
}
