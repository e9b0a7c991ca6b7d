import { join, relative } from 'node:path'
import autoload from '@fastify/autoload'
import type { FastifyInstance } from 'fastify'

/** Files that stand where functions do, and are none; the message names them, and says what to do. */
export class NoFunction extends Error {
  override name = 'NoFunction'

  constructor(files: string[]) {
    super(
      `No function in ${files.join(', ')}: write \`export default async function (app) { … }\`, ` +
        'or `export const autoload = false` in a file that is not meant to be one.'
    )
  }
}

/**
 * Loads each file in a directory as a function.
 * @throws {NoFunction} when a file is none: it would be passed over without a word.
 */
export async function loadFunctions(app: FastifyInstance, dir: string): Promise<void> {
  const files: string[] = []
  await app.register(autoload, { dir, matchFilter: path => files.push(join(dir, path)) > 0 })
  const odd: string[] = []
  for (const file of files) {
    // It has been loaded just now, so this reads nothing.
    const { default: plugin, autoload: wanted } = await import(file)
    if (typeof plugin !== 'function' && wanted !== false) odd.push(relative('', file))
  }
  if (odd.length > 0) throw new NoFunction(odd)
}
