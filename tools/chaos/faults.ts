import { setTimeout as delay } from 'node:timers/promises'
import type { RowDataPacket } from 'mysql2/promise'
import { allow } from './accounts.ts'
import type { Cluster } from './cluster.ts'
import { describeFault, type Fault, type FaultKind, type MemberName } from './plan.ts'
import { keysOf, type StoreAccess, withMysql, withRedis } from './stores.ts'

/** A fault that was injected. Times in ms since the start of the process. At `ended` the target works again. */
export interface DoneFault {
  kind: FaultKind
  target: MemberName
  began: number
  ended: number
}

type Inject = (cluster: Cluster, fault: Fault, signal: AbortSignal) => Promise<void>

const kill: Inject = async ({ members }, { target, lasts }, signal) => {
  await members[target].kill()
  await delay(lasts, undefined, { signal })
  await members[target].start()
}

const pause: Inject = async ({ members }, { target, lasts }, signal) => {
  members[target].signal('SIGSTOP')
  try {
    await delay(lasts, undefined, { signal })
  } finally {
    members[target].signal('SIGCONT')
  }
}

/** Makes Redis close every client connection. */
const cutRedis: Inject = ({ access }) =>
  withRedis(access, async client => {
    await client.call('CLIENT', 'KILL', 'TYPE', 'normal')
  })

const cutMariadb: Inject = ({ access }) =>
  withMysql(access, async connection => {
    const [rows] = await connection.query<RowDataPacket[]>(
      'SELECT id FROM information_schema.processlist WHERE db = ? AND id <> CONNECTION_ID()',
      [access.mysql.database]
    )
    // The connection may be closed already.
    for (const { id } of rows) await connection.query(`KILL CONNECTION ${Number(id)}`).catch(() => {})
  })

/** Gives Redis so little memory that it evicts all keys with a TTL and refuses writes. */
const fill: Inject = async ({ access }, { lasts }, signal) => {
  const limit = (bytes: number) => withRedis(access, client => client.config('SET', 'maxmemory', bytes))
  await limit(1)
  try {
    await delay(lasts, undefined, { signal })
  } finally {
    await limit(0)
  }
}

/** Forbids one command to the Redis user of the service. Its connections stay open. */
const deny: Inject = async ({ access }, { command, lasts }, signal) => {
  await withRedis(access, client => allow(client, `-${command}`))
  try {
    await delay(lasts, undefined, { signal })
  } finally {
    await withRedis(access, client => allow(client, '+@all'))
  }
}

/** Makes MariaDB refuse all writes except those of administrators. This affects open sessions, too. */
const readOnly: Inject = async ({ access }, { lasts }, signal) => {
  await setReadOnly(access, true)
  try {
    await delay(lasts, undefined, { signal })
  } finally {
    await setReadOnly(access, false)
  }
}

/** Makes MariaDB read-only, or writable again. */
export function setReadOnly(access: StoreAccess, on: boolean): Promise<void> {
  return withMysql(access, async connection => {
    await connection.query(`SET GLOBAL read_only = ${on ? 1 : 0}`)
  })
}

/** Deletes every document that has a TTL. The script checks the TTL and deletes the document in one step. */
const purge: Inject = ({ access }) =>
  withRedis(access, async client => {
    const script =
      "for _, key in ipairs(KEYS) do if redis.call('PTTL', key) > 0 then redis.call('DEL', key) end end"
    for (const pattern of keysOf(access, 'doc:*')) {
      let cursor = '0'
      do {
        const [next, keys] = await client.scan(cursor, 'MATCH', pattern, 'COUNT', 1000)
        if (keys.length > 0) await client.eval(script, keys.length, ...keys)
        cursor = next
      } while (cursor !== '0')
    }
  })

const destroyGroup: Inject = ({ access }) =>
  withRedis(access, async client => {
    for (const stream of keysOf(access, 'placed')) {
      // The stream may not exist before the first order.
      await client.xgroup('DESTROY', stream, 'process-orders').catch(() => {})
    }
  })

const injections: Record<FaultKind, Inject> = {
  'kill-api': kill,
  'kill-worker': kill,
  'kill-redis': kill,
  'kill-mariadb': kill,
  'pause-api': pause,
  'pause-worker': pause,
  'pause-redis': pause,
  'pause-mariadb': pause,
  'cut-redis': cutRedis,
  'cut-mariadb': cutMariadb,
  'full-redis': fill,
  'deny-redis': deny,
  'read-only-mariadb': readOnly,
  'purge-documents': purge,
  'destroy-group': destroyGroup
}

/**
 * Injects the planned faults. Their times count from this call. A fault waits until the previous fault of the same
 * target is over. Resolves to the injected faults when all are over.
 */
export async function injectFaults(
  cluster: Cluster,
  plan: Fault[],
  say: (line: string) => void,
  signal: AbortSignal
): Promise<DoneFault[]> {
  const start = performance.now()
  const done: DoneFault[] = []
  const inject = async (fault: Fault) => {
    await delay(Math.max(0, start + fault.at - performance.now()), undefined, { signal })
    await cluster.members[fault.target].exclusively(async () => {
      const began = performance.now()
      const entry = { kind: fault.kind, target: fault.target, began, ended: Number.POSITIVE_INFINITY }
      try {
        await injections[fault.kind](cluster, fault, signal)
        done.push(entry)
        entry.ended = performance.now()
        const late = began - start - fault.at
        const remark = `${late > 500 ? `, ${(late / 1000).toFixed(1)} s late` : ''}, over after ${((entry.ended - began) / 1000).toFixed(1)} s`
        say(`${describeFault(fault)}${remark}`)
      } catch (error) {
        if (signal.aborted) return
        cluster.incidents.push(
          `the fault ${fault.kind} of ${fault.target} failed: ${(error as Error).message}`
        )
      }
    })
  }
  await Promise.all(plan.map(inject))
  return done
}
