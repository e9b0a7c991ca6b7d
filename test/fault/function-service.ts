import { join } from 'node:path'
import type { LocalServer } from '../../tools/local/server.ts'
import { startEntry } from '../harness/service.ts'
import type { Space } from '../harness/space.ts'

const ENTRY = join(import.meta.dirname, 'function-worker.ts')

/** Starts a worker with one of the functions of `function-worker.ts`. It stops when the running test ends. */
export function startFunction(
  space: Space,
  name: 'fragile' | 'slow' | 'hanging' | 'stuck',
  env: Record<string, string> = {}
): Promise<LocalServer> {
  return startEntry(space, name, ENTRY, { MODE: 'worker', FUNCTION: name, ...env })
}

/** Appends a message to the stream of a function, and returns its id. */
export async function addMessage(space: Space, name: string, n: number, does = 'work'): Promise<string> {
  const fields = { v: '1', data: JSON.stringify({ n, does }), request_id: `r-${n}`, traceparent: '' }
  const id = await space.redis.xadd(
    `{${space.env.KEY_PREFIX}:0}:${name}`,
    '*',
    ...Object.entries(fields).flat()
  )
  return id as string
}

/** The counts that the function has recorded. */
export async function recordsOf(space: Space): Promise<Record<string, string>> {
  return space.redis.hgetall(`${space.env.KEY_PREFIX}:records`)
}
