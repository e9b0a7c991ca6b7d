import { startServer } from '../../local/server.ts'
import { checkReady } from '../../local/service.ts'
import {
  type ContestantOptions,
  OVER_ITS_DEFAULTS,
  ownDirectory,
  type Running,
  running
} from '../contestants.ts'
import { environmentOf } from '../stores.ts'
import type { Tree } from './tree.ts'

/** The name of one of the two revisions. */
export type SideName = 'this' | 'other'

/** One of the two revisions, with its own database and key prefix. */
export interface Side {
  name: SideName
  database: string
  start: (mode: 'api' | 'worker') => Promise<Running>
}

/** The grace period (ms). The service needs less time to stop, so only a process that hangs is killed. */
const GRACE = 25_000

/** Creates a side: a revision with its default settings, on the Redis that syncs every write before its reply. */
export function createSide(name: SideName, { dir, program }: Tree, options: ContestantOptions): Side {
  const { stores, signal } = options
  const database = `against_${name}`
  const env = {
    ...environmentOf(stores.redis.always, stores.mariadb, database),
    ...OVER_ITS_DEFAULTS,
    NODE_ENV: 'production',
    HOST: '127.0.0.1'
  }
  return {
    name,
    database,
    start: async mode =>
      running(
        await startServer({
          name: mode,
          dir: await ownDirectory(options, `${name}-${mode}`),
          mark: program.entry,
          command: program.command,
          args: () => [...program.flags, program.entry],
          env: port => ({ ...env, MODE: mode, PORT: String(port) }),
          cwd: dir,
          graceMs: GRACE,
          signal,
          notReady: port => checkReady(`http://127.0.0.1:${port}/health/ready`)
        })
      )
  }
}
