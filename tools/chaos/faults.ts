import { setTimeout as delay } from 'node:timers/promises'
import type { RowDataPacket } from 'mysql2/promise'
import { allow } from './accounts.ts'
import type { ClusterFaultKind, Fault, FaultKind } from './plan.ts'
import { inPartitions, type StoreAccess, withMysql, withServers } from './stores.ts'
import type { System } from './system.ts'

/** Injects a fault. Resolves when its effects are over. */
export type Inject = (system: System, fault: Fault, signal: AbortSignal) => Promise<void>

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
  withServers(access, client => client.call('CLIENT', 'KILL', 'TYPE', 'normal'))

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
  const limit = (bytes: number) => withServers(access, client => client.config('SET', 'maxmemory', bytes))
  await limit(1)
  try {
    await delay(lasts, undefined, { signal })
  } finally {
    await limit(0)
  }
}

/** Forbids one command to the Redis user of the service. Its connections stay open. */
const deny: Inject = async ({ access }, { command, lasts }, signal) => {
  await withServers(access, client => allow(client, `-${command}`))
  try {
    await delay(lasts, undefined, { signal })
  } finally {
    await withServers(access, client => allow(client, '+@all'))
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
const purge: Inject = async ({ access }) => {
  await inPartitions(access, async (client, keyOf) => {
    const script =
      "for _, key in ipairs(KEYS) do if redis.call('PTTL', key) > 0 then redis.call('DEL', key) end end"
    let cursor = '0'
    do {
      const [next, keys] = await client.scan(cursor, 'MATCH', keyOf('doc:*'), 'COUNT', 1000)
      if (keys.length > 0) await client.eval(script, keys.length, ...keys)
      cursor = next
    } while (cursor !== '0')
  })
}

const destroyGroup: Inject = async ({ access }) => {
  await inPartitions(access, (client, keyOf) => client.xgroup('DESTROY', keyOf('placed'), 'process-orders'))
}

/** The function that injects each fault that is not of a server of a cluster. */
export const injections: Record<Exclude<FaultKind, ClusterFaultKind>, Inject> = {
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
