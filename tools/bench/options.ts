import { CommandError, readArguments, readNames } from '../local/command.ts'
import { type Against, readAgainst } from './against/options.ts'
import { type PhaseName, phaseNames } from './phases.ts'
import type { Extent } from './results.ts'

/** The help of the command. */
export const help = `npm run bench [-- options]

Measures the service beside its peers on this machine, with private stores: about 20 minutes with nothing else running.
Writes tools/bench/results.json, the charts in tools/bench/charts/, docs/speed.md and the figures of the README.

  --quick          a short form, about two minutes; writes nothing
  --check          the form that .ci/run runs: fails when a ratio is far too low; writes nothing
  --only <a,b>     only these phases (${phaseNames.join(', ')}); writes nothing
  --against <rev>  compare the speed of this tree with another revision's; writes nothing
  --keep           keep the data and logs in any case; they are kept after a failure
  --help           show this

With --against, both revisions take turns at accept, read and drain (--only may leave some out) until every phase is
decided. The exit code is 0 when none is slower or undecided.

  --rounds <n>     rounds at most (default: 30)
  --bound <ratio>  a phase is slower when the 95 % interval of its ratio is wholly below this (default: 0.97);
                   --bound drain=0.88 sets that of one phase; may be repeated
  --with <extra>   only this tree gets its orders with an API key of a tenant and a quota (keys), or with ten items
                   (items); the other one gets plain orders. Needs --only accept`

const OPTIONS = {
  quick: { type: 'boolean', default: false },
  check: { type: 'boolean', default: false },
  only: { type: 'string' },
  against: { type: 'string' },
  rounds: { type: 'string' },
  bound: { type: 'string', multiple: true },
  with: { type: 'string' },
  keep: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false }
} as const

/** The options of a run. */
export interface Options {
  extent: Extent
  only: readonly PhaseName[]
  keep: boolean
  /** The comparison with another revision. If it is set, the phases do not run. */
  against?: Against
}

/**
 * Reads the command line. Returns undefined when it asks for help.
 * @throws {CommandError} when it is invalid.
 */
export function readOptions(args: string[]): Options | undefined {
  const values = readArguments(args, OPTIONS, help)
  if (values.help) return undefined
  const { quick, check, only, keep, against, ...comparison } = values
  if (Number(quick) + Number(check) + Number(against !== undefined) > 1)
    throw new CommandError('--quick, --check and --against exclude each other.')
  const extent = quick ? 'quick' : check ? 'check' : 'full'
  if (against !== undefined)
    return { extent, only: [], keep, against: readAgainst(against, { only, ...comparison }) }
  const { rounds, bound, with: more } = comparison
  if ([rounds, bound, more].some(value => value !== undefined))
    throw new CommandError('--rounds, --bound and --with belong to --against.')
  return { extent, only: readNames('only', only ?? phaseNames.join(','), phaseNames), keep }
}
