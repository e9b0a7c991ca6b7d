import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import { fromRedis } from '../driver-errors.ts'
import { ScriptMissing } from '../errors.ts'

/** Calls one Lua script; all keys must lie in one hash slot. */
export type Script = (client: Redis, keys: string[], args: (string | number)[]) => Promise<unknown>

/**
 * A Lua file as a function. It is called by its hash; only a server that does not know it is sent the text, which is
 * safe to do since such a server has run nothing.
 */
export function loadScript(file: URL): Script {
  const text = readFileSync(file, 'utf8')
  const hash = createHash('sha1').update(text).digest('hex')
  return async (client, keys, args) => {
    // In one array: as parameters, the thousands of a big batch would be copied each time that they are handed on.
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
