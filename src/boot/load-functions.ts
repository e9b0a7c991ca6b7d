import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import autoload from '@fastify/autoload'
import type { FastifyInstance } from 'fastify'
import { describeLoadFailure, nameOf, placeOf, textOf } from './load-failure.ts'

/** Files in a folder of functions export no function. The message names them and the remedy. */
export class NoFunction extends Error {
  override name = 'NoFunction'

  constructor(files: string[]) {
    super(
      `No function in ${files.join(', ')}: write \`export default async function (app) { … }\`, ` +
        'or `export const autoload = false` in a file that is not meant to be one.'
    )
  }
}

/** Functions cannot be loaded or registered. The message names each file and the cause. */
export class FunctionFailed extends Error {
  override name = 'FunctionFailed'
}

/** Tests may be in the same folder as the functions that they test. */
const TESTS = /\.(test|spec)\.[cm]?[jt]sx?$/

/** Matches no file. Otherwise autoload would load a file `index.ts` and none of the files beside it. */
const NO_INDEX = /(?!)/

/**
 * Loads each file in a directory as a function.
 * @throws {NoFunction} when a file exports no function: autoload would skip it without a message.
 * @throws {FunctionFailed} when a file cannot be loaded, or its function cannot be registered.
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
  const unusable: string[] = []
  for (const file of files) {
    const { default: plugin, autoload: loadable } = await load(file)
    if (typeof plugin !== 'function' && loadable !== false) unusable.push(nameOf(file))
  }
  if (unusable.length > 0) throw new NoFunction(unusable)
}

/** Imports a file. A file that is loaded already is not read again. */
function load(file: string): Promise<{ default?: unknown; autoload?: unknown }> {
  return import(pathToFileURL(file).href)
}

/**
 * Explains which files failed: each file that cannot be loaded, or else the file whose function cannot be registered.
 */
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

/** Returns the plugin that did not start in time, if that was the failure. */
function pluginOf(error: unknown): unknown {
  const { fn, cause } = (error ?? {}) as { fn?: unknown; cause?: { fn?: unknown } }
  return fn ?? cause?.fn
}
