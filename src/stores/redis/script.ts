import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import { fromRedis } from '../driver-errors.ts'
import { ScriptMissing } from '../errors.ts'

/** Calls one Lua script; all keys must lie in one hash slot. */
export type Script = (client: Redis, keys: string[], args: (string | number)[]) => Promise<unknown>

/**
 * Loads a Lua file as a function. Calls it by its hash, and sends the text only to a server that does not know the hash.
 * Such a server has run nothing, so the second call is safe.
 */
export function loadScript(file: URL): Script {
  const text = readFileSync(file, 'utf8')
  const hash = createHash('sha1').update(text).digest('hex')
  return async (client, keys, args) => {
    // In one array: the driver would copy thousands of separate parameters at each step.
    const call = (command: string, script: string) =>
      client.call(command, [script, keys.length, ...keys, ...args])
    try {
      return await call('evalsha', hash)
    } catch (error) {
      const known = fromRedis(error)
      if (!(known instanceof ScriptMissing)) throw known
      return call('eval', text)
    }
  }
}
