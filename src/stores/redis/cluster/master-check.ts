import type { Redis } from 'ioredis'
import { SlotElsewhere, StoreUnavailable } from '../../errors.ts'
import type { Address } from '../address.ts'

/** The dependencies of the check of a master. */
export interface MasterCheckOptions {
  /** Throws when this process must not use this cluster. */
  check: () => Promise<void>
  /** Returns whether a master has the key that `check` reads. */
  isChecked: (address: Address) => boolean
  /** Returns a key of a master; undefined when it has no partition. */
  keyOn: (address: Address) => string | undefined
}

/**
 * Creates the check that each probe of a master runs. It reads a key of the master. `check` needs one certain master, and
 * that master may be unavailable, so only its own probe runs `check`. The others use the last result; before the first
 * result, each probe runs `check`.
 */
export function createMasterCheck({
  check,
  isChecked,
  keyOn
}: MasterCheckOptions): (client: Redis, address: Address) => Promise<void> {
  let result: Error | 'allowed' | undefined

  const run = async () => {
    try {
      await check()
      return 'allowed' as const
    } catch (error) {
      // The key that `check` reads is on its way to another master. This master is well.
      if (error instanceof SlotElsewhere && result !== undefined) return result
      if (error instanceof StoreUnavailable || !(error instanceof Error)) throw error
      return error
    }
  }

  return async (client, address) => {
    const key = keyOn(address)
    // A master whose slot has just moved answers, too.
    if (key !== undefined) await client.exists(key).catch(unlessElsewhere)
    if (result === undefined || isChecked(address)) result = await run()
    if (result instanceof Error) throw result
  }
}

function unlessElsewhere(error: unknown): void {
  if (!(error instanceof SlotElsewhere)) throw error
}
