import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import autoload from '@fastify/autoload'
import type { FastifyInstance } from 'fastify'
import { describeLoadFailure, nameOf, placeOf, textOf } from './load-failure.ts'

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

/** Files of functions cannot be loaded or registered; the message names each of them, and the cause. */
export class FunctionFailed extends Error {
  override name = 'FunctionFailed'
}

/** Tests may stand beside the functions that they test. */
const TESTS = /\.(test|spec)\.[cm]?[jt]sx?$/

/** Matches no file: a file `index.ts` would hide those beside it. */
const NO_INDEX = /(?!)/

/**
 * Loads each file in a directory as a function.
 * @throws {NoFunction} when a file is none: it would be passed over without a word.
 * @throws {FunctionFailed} when a file cannot be loaded, or what it exports cannot be registered.
 */
export async function loadFunctions(app: FastifyInstance, dir: string): Promise<void> {
  const files: string[] = []
  try {
    await app.register(autoload, {
      dir,
      ignorePattern: TESTS,
      indexPattern: NO_INDEX,
      matchFilter: path => files.push(join(dir, path)) > 0
    })
  } catch (error) {
    throw await explainFailure(error, files, dir)
  }
  const odd: string[] = []
  for (const file of files) {
    const { default: plugin, autoload: wanted } = await load(file)
    if (typeof plugin !== 'function' && wanted !== false) odd.push(nameOf(file))
  }
  if (odd.length > 0) throw new NoFunction(odd)
}

/** Reads nothing when the file has been loaded already. */
function load(file: string): Promise<{ default?: unknown; autoload?: unknown }> {
  return import(pathToFileURL(file).href)
}

/** Which files failed, and why: each one that cannot be loaded, else the one that cannot be registered. */
async function explainFailure(cause: unknown, files: string[], dir: string): Promise<FunctionFailed> {
  const loaded = await Promise.allSettled(files.map(load))
  const faults = loaded.flatMap((result, index) =>
    result.status === 'rejected' ? [describeLoadFailure(files[index] as string, result.reason)] : []
  )
  if (faults.length > 0) return new FunctionFailed(faults.join('\n'), { cause })
  const plugin = pluginOf(cause)
  const file = files.find(
    (_, index) =>
      plugin !== undefined &&
      (loaded[index] as PromiseFulfilledResult<{ default?: unknown }>).value.default === plugin
  )
  const place = placeOf(cause, dir) ?? (file ? nameOf(file) : `A function in ${nameOf(dir)}`)
  return new FunctionFailed(`${place} cannot be registered: ${textOf(cause)}`, { cause })
}

/** The plugin that did not start in time, where that is what failed. */
function pluginOf(error: unknown): unknown {
  const { fn, cause } = (error ?? {}) as { fn?: unknown; cause?: { fn?: unknown } }
  return fn ?? cause?.fn
}
