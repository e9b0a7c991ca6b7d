import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import { migrate, statementsOf } from '../../src/stores/mysql/migrate.ts'
import { useApp } from '../harness/app.ts'
import { markKeysInUse, useSpace } from '../harness/space.ts'

const space = await useSpace()
const log = pino({ level: 'silent' })
const directory = new URL('../../migrations/', import.meta.url)

/** Returns every statement of every migration, in order. */
async function readStatements() {
  const files = (await readdir(directory)).filter(name => name.endsWith('.sql')).sort()
  const found = await Promise.all(
    files.map(async name => {
      const script = await readFile(new URL(name, directory), 'utf8')
      return statementsOf(script).map(statement => ({ version: Number.parseInt(name, 10), statement }))
    })
  )
  return found.flat()
}

/** Makes an empty database, and opens it. */
async function makeDatabase(name: string) {
  await space.sql(`CREATE DATABASE ${space.env.DB_NAME}_${name}`)
  await space.sql(`USE ${space.env.DB_NAME}_${name}`)
  return openDatabase(name)
}

/** Returns calls for a database, as another user if `account` has one. */
function openDatabase(name: string, account = {}) {
  const database = `${space.env.DB_NAME}_${name}`
  const { DB_HOST: host, DB_PORT, DB_USER: user, DB_PASSWORD: password } = space.env
  const connection = { host, port: Number(DB_PORT), user, password, database, ...account }
  return {
    migrate: (functions?: string) => migrate(connection as Parameters<typeof migrate>[0], log, { functions }),
    columns: () =>
      space.sql(
        `SELECT table_name AS tab, column_name AS col, column_type AS type, column_key AS part
         FROM information_schema.columns WHERE table_schema = ? ORDER BY tab, ordinal_position`,
        [database]
      ),
    version: async () =>
      (await space.sql<{ version: number }>('SELECT MAX(version) AS version FROM schema_version'))[0]?.version
  }
}

test('the next start completes a migration that was cut off after any statement', {
  // The test makes a database for each statement of all migrations.
  timeout: 120_000
}, async () => {
  const statements = await readStatements()
  const last = statements.at(-1)?.version
  const whole = await makeDatabase('whole')
  await whole.migrate()
  const columns = await whole.columns()
  expect(await whole.version()).toBe(last)

  for (let done = 1; done <= statements.length; done++) {
    const cut = await makeDatabase(`cut_${done}`)
    // The first statements have run, but only the version before them is recorded.
    for (const { statement } of statements.slice(0, done)) await space.sql(statement)
    await space.sql('CREATE TABLE schema_version (version BIGINT PRIMARY KEY)')
    for (let version = 0; version < (statements[done - 1]?.version ?? 0); version++)
      await space.sql('INSERT INTO schema_version (version) VALUES (?)', [version])
    await cut.migrate()
    expect(await cut.version()).toBe(last)
    expect(await cut.columns()).toEqual(columns)
  }
})

test('a migration that MySQL refuses fails the start, and is not recorded', async () => {
  const user = `user_${randomBytes(4).toString('hex')}`
  const account = `'${user}'@'${space.env.DB_HOST}'`
  await (await makeDatabase('faulty')).migrate()
  await space.sql('DELETE FROM schema_version WHERE version > 3')
  await space.sql(`CREATE USER ${account} IDENTIFIED BY 'word'`)
  onTestFinished(async () => {
    await space.sql(`DROP USER ${account}`)
  })
  // The user may not drop the index that the next migration drops.
  await space.sql(`GRANT SELECT, INSERT, CREATE ON ${space.env.DB_NAME}_faulty.* TO ${account}`)
  const { migrate: start, version } = openDatabase('faulty', { user, password: 'word' })
  await expect(start()).rejects.toThrow('ALTER command denied')
  expect(await version()).toBe(3)
})

test('a start refuses a server that is too old, and reports the reason', async () => {
  // An old server reports such a version. The same length keeps the packet valid.
  const proxy = createServer(socket => {
    const server = connect(Number(space.env.DB_PORT), space.env.DB_HOST)
    server.pipe(socket)
    socket.on('data', bytes =>
      server.write(Buffer.from(bytes.toString('latin1').replaceAll('SKIP LOCKED', 'SKAP LACKED'), 'latin1'))
    )
    for (const [one, other] of [
      [socket, server],
      [server, socket]
    ] as const) {
      one.on('error', () => {})
      one.on('close', () => other.destroy())
    }
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  onTestFinished(() => {
    proxy.close()
  })
  const DB_PORT = String((proxy.address() as AddressInfo).port)
  await markKeysInUse(space, space.env.KEY_PREFIX as string)
  const { call, log } = await useApp(space, 'api', { DB_PORT })
  expect((await call('/health')).json().services).toEqual({ redis: 'connected', database: 'disconnected' })
  const [line] = log.filter(({ msg }) => msg === 'mysql is not available')
  expect(line).toMatchObject({ err: { message: expect.stringContaining('MySQL is older than 8.0') } })
})

test('the migrations of functions have their own versions, and an error in one does not fail the start', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'orderstream-functions-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const database = await makeDatabase('functions')
  await database.migrate(folder)
  await copyFile(
    new URL('../../examples/migrations/002.do.unpaid-orders.sql', import.meta.url),
    join(folder, '001.do.unpaid-orders.sql')
  )
  await writeFile(join(folder, '002.do.faulty.sql'), 'CREATE TABLE;')
  await database.migrate(folder)
  expect(await space.sql('SELECT * FROM unpaid_orders')).toEqual([])
  expect(await space.sql('SELECT MAX(version) AS version FROM function_schema_version')).toEqual([
    { version: 1 }
  ])
  await writeFile(join(folder, '002.do.faulty.sql'), 'CREATE TABLE mended (id INT PRIMARY KEY);')
  await database.migrate(folder)
  expect(await space.sql('SELECT * FROM mended')).toEqual([])
})

test('a schema of a newer version stays unchanged', async () => {
  const database = await makeDatabase('newer')
  await database.migrate()
  const columns = await database.columns()
  await space.sql('INSERT INTO schema_version (version) VALUES (999)')
  await database.migrate()
  expect(await database.version()).toBe(999)
  expect(await database.columns()).toEqual(columns)
})
