import { setTimeout as delay } from 'node:timers/promises'
import { startServer } from '../../local/server.ts'
import { checkReady } from '../../local/service.ts'
import {
  type ContestantOptions,
  OVER_ITS_DEFAULTS,
  ownDirectory,
  type Running,
  running
} from '../contestants.ts'
import type { LoadOptions } from '../load/wrk.ts'
import { environmentOf } from '../stores.ts'
import type { Tree } from './tree.ts'

/** What this tree does more than the other revision: nothing, or it checks keys, or it accepts orders with items. */
export const extras = ['nothing', 'keys', 'items'] as const
/** What this tree does more than the other revision. */
export type Extra = (typeof extras)[number]

/** The name of one of the two revisions. */
export type SideName = 'this' | 'other'

/** One of the two revisions, with its own database and key prefix. */
export interface Side {
  name: SideName
  database: string
  start: (mode: 'api' | 'worker') => Promise<Running>
  /** Returns how orders are sent to a running api of this side: the key and the number of items. */
  sending: (api: Running, signal: AbortSignal) => Promise<Pick<LoadOptions, 'key' | 'items'>>
}

/** The settings of a side that checks keys. */
const ADMIN_TOKEN = 'bench-admin-token-of-a-private-instance'
const CHECKS_KEYS = { AUTH: 'on', ADMIN_TOKEN }

/** The number of items of an order that has items. */
const ITEMS = 10

/** The longest wait for a key (ms). A service that creates its tables first answers 503. */
const LONGEST = 30_000

/** Creates a key of a tenant of its own, with a quota that no load reaches. */
async function createKey({ url }: Running, signal: AbortSignal): Promise<string> {
  const end = performance.now() + LONGEST
  for (;;) {
    const answer = await fetch(`${url}/admin/keys`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        name: 'bench',
        tenant: 'acme',
        scopes: ['orders:write'],
        rate_limit: 1_000_000
      }),
      signal
    })
    const text = await answer.text()
    if (answer.status === 201) return JSON.parse(text).key
    if (answer.status !== 503 || performance.now() > end) throw new Error(`no key: ${answer.status} ${text}`)
    await delay(200, undefined, { signal })
  }
}

/** The grace period (ms). The service needs less time to stop, so only a process that hangs is killed. */
const GRACE = 25_000

/** Creates a side: a revision with its default settings, on the Redis that syncs every write before its reply. */
export function createSide(
  name: SideName,
  { dir, program }: Tree,
  options: ContestantOptions,
  extra: Extra = 'nothing'
): Side {
  const { stores, signal } = options
  const database = `against_${name}`
  const env = {
    ...environmentOf(stores.redis.always, stores.mariadb, database),
    ...OVER_ITS_DEFAULTS,
    ...(extra === 'keys' && CHECKS_KEYS),
    NODE_ENV: 'production',
    HOST: '127.0.0.1'
  }
  return {
    name,
    database,
    sending: async (api, signal) => ({
      key: extra === 'keys' ? await createKey(api, signal) : undefined,
      items: extra === 'items' ? ITEMS : undefined
    }),
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
