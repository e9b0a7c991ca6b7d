import type { FastifyBaseLogger } from 'fastify'
import type { Redis } from 'ioredis'
import type { Config } from '../../../../schema/config/env.ts'
import type { Address } from '../address.ts'
import { createConnection } from '../connection.ts'
import { createRedisMaster, type OpenMaster } from '../master.ts'
import { readSlotMap, type SlotMap } from './slot-map.ts'

/** The masters of a cluster that this process has opened. */
export interface Masters {
  get: (address: Address) => OpenMaster | undefined
  all: () => readonly OpenMaster[]
  /** Opens the masters that are missing, and closes the others. */
  keep: (addresses: ReadonlySet<Address>) => void
  /** Resolves when every master that was opened so far has been probed. */
  started: () => Promise<void>
  /** Asks servers about the cluster. Leaves out those that do not answer. */
  ask: (servers: Address[]) => Promise<SlotMap[]>
  close: () => Promise<void>
}

/** The dependencies of the masters. */
export interface MastersOptions {
  config: Config
  log: FastifyBaseLogger
  /** Each probe of a master calls it. */
  check: (client: Redis, address: Address) => Promise<void>
}

/** Creates the masters. None is open. */
export function createMasters({ config, log, check }: MastersOptions): Masters {
  const timeout = config.STORE_TIMEOUT_MS
  const open = new Map<Address, OpenMaster>()
  const leaving = new Map<OpenMaster, NodeJS.Timeout>()
  let starting: Promise<unknown> = Promise.resolve()

  const add = (address: Address) => {
    const master = createRedisMaster({
      config,
      log: log.child({ master: address }),
      address,
      check: client => check(client, address)
    })
    open.set(address, master)
    starting = Promise.all([starting, master.start()])
  }

  /** Closes a master after its last calls have got their answers. */
  const remove = (address: Address, master: OpenMaster) => {
    open.delete(address)
    const close = () => {
      leaving.delete(master)
      master.close().catch(() => {})
    }
    leaving.set(master, setTimeout(close, 2 * timeout))
  }

  const askOne = async (address: Address): Promise<SlotMap> => {
    const master = open.get(address)
    if (master?.availability.up) return readSlotMap(master.client, address)
    const connection = createConnection(config, address, {
      commandTimeout: timeout,
      retryStrategy: () => null
    })
    connection.on('error', () => {})
    try {
      await connection.connect()
      return await readSlotMap(connection, address)
    } finally {
      connection.disconnect()
    }
  }

  return {
    get: address => open.get(address),
    all: () => [...open.values()],
    keep: addresses => {
      for (const address of addresses) if (!open.has(address)) add(address)
      for (const [address, master] of open) if (!addresses.has(address)) remove(address, master)
    },
    started: async () => {
      await starting
    },
    ask: async servers => {
      const found = await Promise.all(servers.map(address => askOne(address).catch(() => undefined)))
      return found.filter(map => map !== undefined)
    },
    close: async () => {
      for (const timer of leaving.values()) clearTimeout(timer)
      await Promise.all([...open.values(), ...leaving.keys()].map(master => master.close()))
    }
  }
}
