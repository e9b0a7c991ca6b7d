import { randomInt } from 'node:crypto'
import { CommandError, readArguments, readNames } from '../local/command.ts'
import { type FaultKind, faultKinds } from './plan.ts'
import { type Topology, topologies } from './redis.ts'

/** The help of the command. */
export const help = `npm run chaos [-- options]

Runs the service with private stores and injects random faults while clients post and read orders. At the end it checks
every answer against the stores. Exit code 0 when all are right, 1 otherwise.

  --minutes <n>      length of the load, at least 0.1 (default: 2)
  --seed <n>         repeats a run: the same faults and the same orders at the same times (default: drawn, and printed)
  --rate <n>         arrivals a second (default: 150)
  --reads <n>        reads a second (default: 75)
  --topology <name>  ${topologies.join(' or ')}: one Redis, or a cluster of three masters with a replica each and
                     REDIS_MIN_REPLICAS=1 (default: single)
  --partitions <n>   STREAM_PARTITIONS of the service (default: 1, in a cluster 12)
  --kinds <a,b>      only these kinds of faults, or none with ''
                     single: ${faultKinds.single.join(', ')}
                     cluster: ${faultKinds.cluster.join(', ')}
  --keep             keep data and logs in any case; they are kept after a failure
  --help             show this`

const OPTIONS = {
  minutes: { type: 'string', default: '2' },
  seed: { type: 'string' },
  rate: { type: 'string', default: '150' },
  reads: { type: 'string', default: '75' },
  topology: { type: 'string', default: 'single' },
  partitions: { type: 'string' },
  kinds: { type: 'string' },
  keep: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false }
} as const

/** The options of a run. */
export interface Options {
  /** The length of the load (ms). */
  duration: number
  seed: number
  rate: number
  reads: number
  topology: Topology
  partitions: number
  kinds: readonly FaultKind[]
  keep: boolean
}

/**
 * Reads the command line. Returns undefined when it asks for help.
 * @throws {CommandError} when it is invalid.
 */
export function readOptions(args: string[]): Options | undefined {
  const values = readArguments(args, OPTIONS, help)
  if (values.help) return undefined
  const topology = readTopology(values.topology)
  const kinds = faultKinds[topology]
  const partitions = values.partitions ?? (topology === 'cluster' ? '12' : '1')
  return {
    duration: Math.round(number('minutes', values.minutes, 0.1, 1440) * 60_000),
    seed: values.seed === undefined ? randomInt(1_000_000) : number('seed', values.seed, 0, 2 ** 31),
    rate: number('rate', values.rate, 1, 2000),
    reads: number('reads', values.reads, 1, 2000),
    topology,
    partitions: Math.floor(number('partitions', partitions, 1, 256)),
    kinds: values.kinds === undefined ? kinds : readNames('kinds', values.kinds, kinds),
    keep: values.keep
  }
}

function readTopology(text: string): Topology {
  const topology = topologies.find(name => name === text)
  if (!topology) throw new CommandError(`--topology is "${text}": it must be ${topologies.join(' or ')}.`)
  return topology
}

function number(name: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= min && value <= max))
    throw new CommandError(`--${name} is "${text}": it must be a number from ${min} to ${max}.`)
  return value
}
