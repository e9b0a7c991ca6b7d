import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import type { StoreState } from '../../availability.ts'
import { SlotElsewhere, SlotMoved, StoreUnavailable } from '../../errors.ts'
import { NO_FACTS } from '../facts.ts'
import type { RedisMaster } from '../master.ts'

/** The most servers that one call tries, and the pause before a call tries a slot that is being moved again (ms). */
const MOST_TRIES = 4
const MOVING_PAUSE = 20

/** The dependencies of the master of a partition. */
export interface PartitionMasterOptions {
  /** Returns the server that has the partition now; undefined while none is known. */
  owner: () => RedisMaster | undefined
  /** Returns a signal that aborts when a partition gets another server. */
  changes: () => AbortSignal
  /** Records the server that a reply has named. */
  moved: (error: SlotMoved) => void
}

/** Nothing is known about the server of a partition. */
const UNKNOWN = new Error('no server of the cluster has named the master of this partition')

/**
 * Creates the master of a partition in a cluster. It is the server that has the partition at the time of each call. A
 * server that no longer has the partition refuses the call without an effect, so the call is sent to the next server.
 */
export function createPartitionMaster(options: PartitionMasterOptions): RedisMaster {
  const { owner, changes } = options
  const known = () => {
    const master = owner()
    if (!master) throw new StoreUnavailable('redis', UNKNOWN)
    return master
  }

  const onOwner = async <T>(call: (master: RedisMaster) => Promise<T>): Promise<T> => {
    for (let tries = 1; ; tries++) {
      try {
        return await call(known())
      } catch (error) {
        if (!(error instanceof SlotElsewhere) || tries === MOST_TRIES) throw error
        if (error instanceof SlotMoved) options.moved(error)
        else await delay(tries * MOVING_PAUSE)
      }
    }
  }

  /** Closes the connection when another server has the partition. */
  const follow = (connection: Redis, master: RedisMaster) => {
    const look = () => {
      if (owner() !== master) connection.disconnect()
      else if (connection.status !== 'end') follow(connection, master)
    }
    const signal = changes()
    signal.addEventListener('abort', look, { once: true })
    connection.once('end', () => signal.removeEventListener('abort', look))
  }

  return {
    get client() {
      return known().client
    },
    availability: followOwner(options),
    facts: () => owner()?.facts() ?? NO_FACTS,
    run: work => onOwner(({ run }) => run(work)),
    replicate: work => onOwner(({ replicate }) => replicate(work)),
    blockingConnection: block => {
      const master = known()
      const connection = master.blockingConnection(block)
      follow(connection, master)
      return connection
    }
  }
}

/** Returns the state of the server that has the partition at the time of each call. */
function followOwner({ owner, changes }: PartitionMasterOptions): StoreState {
  const present = () => owner()?.availability
  return {
    store: 'redis',
    get up() {
      return present()?.up ?? false
    },
    get reason() {
      return present() ? present()?.reason : UNKNOWN
    },
    check: async () => (await present()?.check()) ?? false,
    takesWrites: async () => (await present()?.takesWrites()) ?? false,
    untilUp: async signal => {
      while (!signal.aborted && !present()?.up) {
        const changed = AbortSignal.any([signal, changes()])
        const up = present()?.untilUp(changed) ?? aborted(changed)
        await up
      }
    }
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise(resolve => signal.addEventListener('abort', resolve, { once: true }))
}
