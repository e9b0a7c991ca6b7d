import { parseArgs } from 'node:util'
import { type PhaseName, phaseNames } from './phases.ts'
import type { Extent } from './results.ts'

export const help = `npm run bench [-- options]

Measures the service beside its peers on this machine, with private stores: about 15 minutes with nothing else running.
Then bench/results.json, the pictures in bench/charts/ and the speed section of the README are written anew.

  --quick          less of it, in about two minutes; writes nothing
  --check          what CI runs: fails when a ratio is far below what it should be; writes nothing
  --only <a,b>     only these phases (${phaseNames.join(', ')}); writes nothing
  --keep           keep the data and logs in any case; they are kept after a failure
  --help           show this`

export interface Options {
  extent: Extent
  only: readonly PhaseName[]
  keep: boolean
}

/** What is wrong with the command line, for people. */
export class OptionsError extends Error {}

/**
 * Reads the command line; undefined when help was asked for.
 * @throws {OptionsError} when it cannot be understood.
 */
export function readOptions(args: string[]): Options | undefined {
  const values = parse(args)
  if (values.help) return undefined
  if (values.quick && values.check) throw new OptionsError('--quick and --check exclude each other.')
  return {
    extent: values.quick ? 'quick' : values.check ? 'check' : 'full',
    only: readPhases(values.only),
    keep: values.keep
  }
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        quick: { type: 'boolean', default: false },
        check: { type: 'boolean', default: false },
        only: { type: 'string', default: phaseNames.join(',') },
        keep: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false }
      }
    }).values
  } catch (error) {
    throw new OptionsError(`${(error as Error).message}\n\n${help}`)
  }
}

function readPhases(text: string): PhaseName[] {
  const names = text.split(',').filter(Boolean)
  const unknown = names.filter(name => !phaseNames.some(phase => phase === name))
  if (unknown.length > 0)
    throw new OptionsError(`--only has ${unknown.join(', ')}: there are ${phaseNames.join(', ')}.`)
  return phaseNames.filter(phase => names.includes(phase))
}
