import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createDatabase, type LocalMariadb, startMariadb } from '../local/mariadb.ts'
import { startService } from '../local/service.ts'
import { createMysqlAccount, SERVICE_PASSWORD, SERVICE_USER } from './accounts.ts'
import { createMember, type Member } from './member.ts'
import { type MemberName, serviceNames } from './plan.ts'
import { choosePorts } from './ports.ts'
import { createRedis, type RedisStore, type Topology } from './redis.ts'
import { findPartitions, type StoreAccess } from './stores.ts'

/** The whole system: two stores, two apis, two workers. */
export interface System {
  members: Record<MemberName, Member>
  redis: RedisStore
  /** The port of each process of the service. */
  ports: Record<string, number>
  access: StoreAccess
  adminToken: string
  /** One line for each exit or failed start of a process that no fault explains. */
  incidents: string[]
  /** Stops the service, then the stores. */
  stop: () => Promise<void>
}

/** The folder of the system's files, its Redis, and its number of partitions. */
export interface SystemOptions {
  dir: string
  topology: Topology
  partitions: number
  signal: AbortSignal
}

const DATABASE = 'orderstream'
const PREFIX = 'chaos'
const ADMIN_TOKEN = 'chaos-admin-token-of-a-private-instance'

/** Starts every process. Resolves when all are ready. */
export async function startSystem({ dir, topology, partitions, signal }: SystemOptions): Promise<System> {
  const incidents: string[] = []
  const options = { incidents, signal }
  const redis = await createRedis(topology, { dir, ...options })
  const [mariadbPort = 0, ...chosen] = await choosePorts(1 + serviceNames.length)
  const ports = Object.fromEntries(serviceNames.map((name, index) => [name, chosen[index] as number]))
  let database: LocalMariadb | undefined
  const mariadb = createMember({
    name: 'mariadb',
    launch: async () => {
      database = await startMariadb({ dir: join(dir, 'mariadb'), port: mariadbPort, signal })
      return database
    },
    ...options
  })
  const env: NodeJS.ProcessEnv = {
    PATH: process.env.PATH,
    HOST: '127.0.0.1',
    ...redis.env,
    REDIS_USERNAME: SERVICE_USER,
    REDIS_PASSWORD: SERVICE_PASSWORD,
    DB_HOST: '127.0.0.1',
    DB_PORT: String(mariadbPort),
    DB_NAME: DATABASE,
    DB_USER: SERVICE_USER,
    DB_PASSWORD: SERVICE_PASSWORD,
    KEY_PREFIX: PREFIX,
    STREAM_PARTITIONS: String(partitions),
    LEASE_MS: '2000',
    DRAIN_DELAY_MS: '0',
    ADMIN_TOKEN,
    AUTH: 'off',
    WEBHOOK_ALLOW_PRIVATE: 'true'
  }
  const services = serviceNames.map(name => {
    const mode = name.startsWith('api') ? 'api' : 'worker'
    const place = { dir: join(dir, name), port: ports[name], host: '127.0.0.1' }
    return createMember({ name, launch: () => startService({ ...place, mode, env, signal }), ...options })
  })
  const stores = [redis, mariadb]
  const members = Object.fromEntries(
    [...stores, ...services].map(member => [member.name, member])
  ) as System['members']
  const stop = async () => {
    for (const group of [services, stores]) await Promise.allSettled(group.map(member => member.stop()))
  }
  try {
    await Promise.all(stores.map(member => member.start()))
    const { host, port, user, password } = database as unknown as LocalMariadb
    await createDatabase(database as unknown as LocalMariadb, DATABASE)
    const mysql = { host, port, user, password, database: DATABASE }
    await createMysqlAccount(mysql)
    for (const { name } of services) await mkdir(join(dir, name), { recursive: true, mode: 0o700 })
    await Promise.all(services.map(member => member.start()))
    const addresses = redis.servers.map(({ address }) => address)
    const access = {
      redis: addresses,
      mysql,
      partitions: await findPartitions(addresses, PREFIX, partitions)
    }
    return { members, redis, ports, access, adminToken: ADMIN_TOKEN, incidents, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
