import { CommandError, readArguments, readNames } from '../src/local/command.ts'
import { type PhaseName, phaseNames } from './phases.ts'
import type { Extent } from './results.ts'

export const help = `npm run bench [-- options]

Measures the service beside its peers on this machine, with private stores: about 15 minutes with nothing else running.
Then bench/results.json, the pictures in bench/charts/ and the speed section of the README are written anew.

  --quick          less of it, in about two minutes; writes nothing
  --check          what .ci/run runs: fails when a ratio is far below what it should be; writes nothing
  --only <a,b>     only these phases (${phaseNames.join(', ')}); writes nothing
  --keep           keep the data and logs in any case; they are kept after a failure
  --help           show this`

const OPTIONS = {
  quick: { type: 'boolean', default: false },
  check: { type: 'boolean', default: false },
  only: { type: 'string', default: phaseNames.join(',') },
  keep: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false }
} as const

export interface Options {
  extent: Extent
  only: readonly PhaseName[]
  keep: boolean
}

/**
 * Reads the command line; undefined when help was asked for.
 * @throws {CommandError} when it cannot be understood.
 */
export function readOptions(args: string[]): Options | undefined {
  const values = readArguments(args, OPTIONS, help)
  if (values.help) return undefined
  if (values.quick && values.check) throw new CommandError('--quick and --check exclude each other.')
  return {
    extent: values.quick ? 'quick' : values.check ? 'check' : 'full',
    only: readNames('only', values.only, phaseNames),
    keep: values.keep
  }
}
