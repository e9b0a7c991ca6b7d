import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { KnownFunction } from './known-functions.ts'

/**
 * The number of this release, for the other processes. It increases when a release writes something that the previous
 * release does not support. 2: cancelled orders. 3: orders of several tenants.
 */
export const RELEASE = 3

/** The record that a process publishes about itself, as JSON in the hash `processes`. */
const ProcessRecord = Type.Object({
  mode: Type.Enum(['api', 'worker']),
  /** LEASE_MS of the process. It applies to each of its functions. */
  lease: Type.Number(),
  /** Names of the functions that the process runs. */
  functions: Type.Array(Type.String()),
  /** The same functions with stream and group. The previous version does not write this field. */
  consumes: Type.Optional(
    Type.Array(Type.Object({ name: Type.String(), stream: Type.String(), group: Type.String() }))
  ),
  /** RELEASE of the process. Releases before 2 do not write this field. */
  release: Type.Optional(Type.Integer()),
  taxRate: Type.Number(),
  database: Type.String()
})

/** The facts that a process publishes about itself. */
export type ProcessRecord = Static<typeof ProcessRecord>

const check = Compile(ProcessRecord)

/** Decodes a record. Returns an empty list when it cannot be read: a bad record must not stop this process. */
export function readProcessRecord(text: string): ProcessRecord[] {
  try {
    const found: unknown = JSON.parse(text)
    return check.Check(found) ? [found] : []
  } catch {
    return []
  }
}

/**
 * Returns whether a process runs a function on a stream. A process of the previous version records only the names of
 * its functions.
 */
export function runs(
  { functions, consumes }: ProcessRecord,
  { name, stream }: Pick<KnownFunction, 'name' | 'stream'>
): boolean {
  return consumes
    ? consumes.some(own => own.name === name && own.stream === stream)
    : functions.includes(name)
}

const SAME = 'Start all of them with the same.'

/** Returns a warning for each setting that must be the same in all processes and is not, by the setting's name. */
export function findDifferences(own: ProcessRecord, all: ProcessRecord[]): Map<string, string> {
  const found = new Map<string, string>()
  const rivals = all.filter(({ functions }) => functions.some(name => own.functions.includes(name)))
  const leases = distinct(rivals.map(({ lease }) => lease)).sort((a, b) => a - b)
  if (leases.length > 1) {
    const text = `LEASE_MS differs among the workers (${leases.join(', ')}): the longest holds. ${SAME}`
    found.set('LEASE_MS', text)
  }
  const apis = all.filter(({ mode }) => mode === 'api')
  if (own.mode === 'api' && distinct(apis.map(({ taxRate }) => taxRate)).length > 1) {
    const text = `TAX_RATE differs among the apis: an order has the rate of the one that accepts it. ${SAME}`
    found.set('TAX_RATE', text)
  }
  if (distinct(all.map(({ database }) => database)).length > 1)
    found.set('DB_NAME', `DB_NAME differs among the processes: they share orders in Redis alone. ${SAME}`)
  return found
}

function distinct<T>(values: T[]): T[] {
  return [...new Set(values)]
}
