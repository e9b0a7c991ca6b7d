import { randomUUID } from 'node:crypto'
import { existsSync, mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Redis } from 'ioredis'
import { createConnection } from 'mysql2/promise'
import { afterAll, afterEach, expect, test } from 'vitest'
import {
  createDatabase,
  endLeftoverMariadb,
  type LocalMariadb,
  startMariadb
} from '../../../tools/local/mariadb.ts'
import { freePort, portFault } from '../../../tools/local/ports.ts'
import { type LocalStore, startRedis } from '../../../tools/local/redis.ts'
import { alive, root, run } from './launcher.ts'

// The path has a space, and is longer than the path of a socket may be.
const base = realpathSync(mkdtempSync(join(tmpdir(), 'orderstream stores ')))
const long = join(base, 'x'.repeat(120))
const started: LocalStore[] = []

afterEach(async () => {
  await Promise.all(started.splice(0).map(store => store.stop()))
})
afterAll(() => rmSync(base, { recursive: true, force: true }))

async function redisIn(dir: string, port?: number, args?: string[]): Promise<LocalStore> {
  const store = await startRedis({ dir, port, args: args ?? [] })
  started.push(store)
  return store
}

async function mariadbIn(dir: string): Promise<LocalMariadb> {
  const store = await startMariadb({ dir })
  started.push(store)
  return store
}

async function asking<T>({ host, port }: LocalStore, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis({ host, port, retryStrategy: () => null })
  try {
    return await work(client)
  } finally {
    client.disconnect()
  }
}

async function sql(
  store: LocalMariadb,
  statement: string,
  account: { user?: string; password?: string } = {}
) {
  const { host, port, user, password } = store
  const connection = await createConnection({ host, port, user, password, ...account })
  try {
    const [rows] = await connection.query(statement)
    return rows as Record<string, unknown>[]
  } finally {
    await connection.end()
  }
}

/** Starts a store from another process and kills that process. Returns the process id of the store. */
async function orphan(file: string, start: string, dir: string): Promise<number> {
  const script = `
    const { ${start} } = await import(${JSON.stringify(pathToFileURL(join(root, file)))})
    const store = await ${start}({ dir: ${JSON.stringify(dir)} })
    console.log('pid ' + store.pid)`
  const owner = run(process.execPath, ['--input-type=module', '--eval', script])
  const [, pid] = await owner.prints(/pid (\d+)/)
  owner.child.kill('SIGKILL')
  await owner.ended
  return Number(pid)
}

test('Redis syncs every write, evicts only keys with a TTL, and keeps its data over a restart', async () => {
  const dir = join(base, 'redis')
  const first = await redisIn(dir)
  const settings = await asking(first, async client => {
    await client.set('kept', 'yes')
    return client.config('GET', 'append*', 'maxmemory-policy', 'save', 'dir', 'bind')
  })
  expect(settings).toEqual(
    expect.arrayContaining(['appendonly', 'yes', 'appendfsync', 'always', 'volatile-lru', dir])
  )
  await first.stop()
  expect(await alive([first.pid])).toEqual([])
  expect(await portFault(first.port)).toBeUndefined()

  const second = await redisIn(dir, first.port, ['--maxmemory', '64mb'])
  expect(second.port).toBe(first.port)
  expect(await asking(second, client => client.get('kept'))).toBe('yes')
  expect(await asking(second, client => client.config('GET', 'maxmemory'))).toEqual([
    'maxmemory',
    String(64 * 2 ** 20)
  ])
})

test('a stop ends a store even if the store is frozen, and a second stop succeeds, too', async () => {
  const store = await redisIn(join(base, 'frozen'))
  process.kill(store.pid, 'SIGSTOP')
  await Promise.all([store.stop(), store.stop()])
  expect(await alive([store.pid])).toEqual([])
  expect(await store.exited).toEqual({ code: 0, signal: null })
})

test('a start ends the Redis of a killed owner and keeps its data', async () => {
  const dir = join(base, 'orphan')
  const left = await orphan('tools/local/redis.ts', 'startRedis', dir)
  expect(await alive([left])).toEqual([left])
  const store = await redisIn(dir)
  expect(await alive([left])).toEqual([])
  expect(await asking(store, client => client.ping())).toBe('PONG')
})

test('a store whose owner runs counts as in use', async () => {
  const dir = join(base, 'used')
  const store = await redisIn(dir)
  await expect(startRedis({ dir })).rejects.toThrow(
    `is in use: process ${process.pid} started it as ${store.pid}`
  )
  expect(await alive([store.pid])).toEqual([store.pid])
})

test('a start does not end another process that has the process id of an earlier store', async () => {
  const dir = join(base, 'reused')
  await mkdir(dir)
  const other = run(process.execPath, ['--eval', 'console.log("up"); setInterval(() => {}, 1000)'])
  await other.prints(/up/)
  const pid = other.child.pid as number
  await writeFile(join(dir, 'redis.pid'), JSON.stringify({ pid, owner: 1 }))
  await redisIn(dir)
  expect(await alive([pid])).toEqual([pid])
  other.child.kill()
  await other.ended
})

test('a failed start of a store shows the end of its log', async () => {
  const dir = join(base, 'faulty')
  const failure = startRedis({ dir, args: ['--no-such-setting', 'yes'] })
  await expect(failure).rejects.toThrow(/redis ended with code 1 .*redis\.log:\n[\s\S]*no-such-setting/)
  await expect(startRedis({ dir, args: ['--no-such-setting', 'yes'] })).rejects.toThrow(
    join(dir, 'redis.log')
  )
})

test('a taken port is refused with its number', async () => {
  const { port } = await redisIn(join(base, 'first'))
  await expect(startRedis({ dir: join(base, 'second'), port })).rejects.toThrow(
    `127.0.0.1:${port}: the port is taken`
  )
})

test('an aborted start leaves no process', async () => {
  const dir = join(base, 'aborted')
  await expect(startRedis({ dir, signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')
  expect(await readdir(dir)).toEqual([])
})

test('MariaDB keeps data and password, in a long path with a space', async () => {
  const first = await mariadbIn(long)
  await createDatabase(first, 'kept')
  await createDatabase(first, 'kept')
  await sql(first, 'CREATE TABLE kept.one (id INT PRIMARY KEY)')
  expect(await sql(first, 'SELECT @@character_set_server c, @@bind_address b')).toEqual([
    { c: 'utf8mb4', b: '127.0.0.1' }
  ])
  await first.stop()
  expect(await alive([first.pid])).toEqual([])

  const second = await mariadbIn(long)
  expect(second.password).toBe(first.password)
  expect(await sql(second, 'SELECT COUNT(*) n FROM kept.one')).toEqual([{ n: 0 }])
})

test('MariaDB does not touch the temporary tables of other servers when it is created and when it starts', async () => {
  const others = join(tmpdir(), `#sql-temptable-${randomUUID()}.MAD`)
  await writeFile(others, '')
  try {
    const store = await mariadbIn(join(base, 'beside others'))
    expect(await sql(store, 'SELECT @@tmpdir t')).toEqual([{ t: join(base, 'beside others', 'tmp') }])
    expect(existsSync(others)).toBe(true)
  } finally {
    rmSync(others, { force: true })
  }
})

test('MariaDB refuses clients without the password, and only its owner can read the password', async () => {
  const store = await mariadbIn(long)
  expect(store.password.length).toBeGreaterThan(20)
  for (const user of ['root', 'mysql', '', store.user]) {
    await expect(sql(store, 'SELECT 1', { user, password: '' })).rejects.toThrow('Access denied')
  }
  for (const file of ['password', 'init.sql']) expect(statSync(join(long, file)).mode & 0o777).toBe(0o600)
})

test('a start ends the MariaDB of a killed owner', async () => {
  const left = await orphan('tools/local/mariadb.ts', 'startMariadb', long)
  expect(await alive([left])).toEqual([left])
  const store = await mariadbIn(long)
  expect(await alive([left])).toEqual([])
  await store.stop()

  const again = await orphan('tools/local/mariadb.ts', 'startMariadb', long)
  await endLeftoverMariadb(long)
  expect(await alive([again])).toEqual([])
})

test('an interrupted initialisation does not count as finished', async () => {
  const dir = join(base, 'interrupted')
  const controller = new AbortController()
  const start = startMariadb({ dir, port: await freePort(), signal: controller.signal })
  const rejected = expect(start).rejects.toThrow('interrupted')
  // The initialisation runs as soon as the unfinished directory exists.
  await expect
    .poll(() => readdir(dir).catch(() => []), { interval: 2, timeout: 10_000 })
    .toContain('data.new')
  controller.abort(new Error('interrupted'))
  await rejected
  expect(await readdir(dir)).not.toContain('data')

  const store = await mariadbIn(dir)
  expect(await sql(store, 'SELECT 1 one')).toEqual([{ one: 1 }])
  expect(await readdir(dir)).not.toContain('data.new')
})
