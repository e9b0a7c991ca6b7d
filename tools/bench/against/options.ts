import { CommandError, readNames } from '../../local/command.ts'
import { type ComparedPhase, comparedPhases } from './round.ts'
import { type Extra, extras } from './side.ts'

/** A comparison with another revision, from the command line. */
export interface Against {
  revision: string
  phases: readonly ComparedPhase[]
  /** The largest number of rounds. */
  rounds: number
  /** The ratio below which a phase counts as slower. */
  bounds: Partial<Record<ComparedPhase, number>>
  extra: Extra
}

/** The options of the command line in addition to the revision. */
export interface AgainstTexts {
  only?: string | undefined
  rounds?: string | undefined
  bound?: string[] | undefined
  with?: string | undefined
}

/** The default number of rounds, and the default bound. */
const ROUNDS = 30
const BOUND = 0.97

/**
 * Reads the options of a comparison: the phases as a list, the rounds, and bounds such as `0.9` or `drain=0.88`.
 * @throws {CommandError} when an option is invalid
 */
export function readAgainst(
  revision: string,
  { only, rounds = String(ROUNDS), bound = [], with: more = 'nothing' }: AgainstTexts
): Against {
  if (revision === '') throw new CommandError('--against has no revision: name a commit, a branch or a tag.')
  const phases = readNames('only', only ?? comparedPhases.join(','), comparedPhases)
  if (phases.length === 0)
    throw new CommandError(`--only has no phase: there are ${comparedPhases.join(', ')}.`)
  const most = Number(rounds)
  if (!Number.isInteger(most) || most < 1 || most > 1000)
    throw new CommandError(`--rounds is "${rounds}": it must be a whole number from 1 to 1000.`)
  const extra = extras.find(name => name === more)
  if (!extra) throw new CommandError(`--with is "${more}": it must be one of ${extras.join(', ')}.`)
  if (extra !== 'nothing' && phases.join() !== 'accept')
    throw new CommandError(`--with ${extra} compares only accepts: add --only accept.`)
  return { revision, phases, rounds: most, bounds: readBounds(bound, phases), extra }
}

function readBounds(texts: string[], phases: readonly ComparedPhase[]): Against['bounds'] {
  const bounds = Object.fromEntries(phases.map(phase => [phase, BOUND])) as Record<ComparedPhase, number>
  const read = texts.flatMap(text => text.split(',')).map(text => readBound(text, phases))
  // The bound of one phase overrides a bound for all phases, in any order of the options.
  for (const { phase, value } of read.toSorted((a, b) => Number(!!a.phase) - Number(!!b.phase)))
    for (const each of phase ? [phase] : phases) bounds[each] = value
  return bounds
}

function readBound(
  text: string,
  phases: readonly ComparedPhase[]
): { phase: ComparedPhase | undefined; value: number } {
  const [, name, number = ''] = /^(?:(\w+)=)?(.+)$/.exec(text) ?? []
  const phase = phases.find(each => each === name)
  if (name && !phase)
    throw new CommandError(`--bound has ${name}: the phases that are compared are ${phases.join(', ')}.`)
  const value = Number(number)
  if (number.trim() === '' || !(value > 0 && value < 10))
    throw new CommandError(
      `--bound is "${text}": it must be a ratio such as 0.97, or drain=0.88 for one phase.`
    )
  return { phase, value }
}
