import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import { fromRedis } from '../driver-errors.ts'
import { ScriptMissing } from '../errors.ts'

/** Calls one Lua script. All keys must be in one hash slot. */
export type Script = (client: Redis, keys: string[], args: (string | number)[]) => Promise<unknown>

/**
 * Loads a Lua file as a function. The function calls the script by its hash. It sends the text only to a server that
 * does not have the script. Such a server has run nothing, so the second call is safe.
 */
export function loadScript(file: URL): Script {
  const text = readFileSync(file, 'utf8')
  const hash = createHash('sha1').update(text).digest('hex')
  return async (client, keys, args) => {
    // One array, because the driver would copy thousands of separate parameters at each step.
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
