import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createConnection } from 'mysql2/promise'
import { describeExit, endLeftover, findProgram, startProcess } from './process.ts'
import type { LocalStore, StoreOptions } from './redis.ts'
import { startServer } from './server.ts'

/** A private MariaDB on 127.0.0.1. Its user has all rights. */
export interface LocalMariadb extends LocalStore {
  user: string
  password: string
}

const user = 'orderstream'

// MariaDB writes its memory to disk before it exits.
const graceMs = 30_000

/**
 * Starts a private MariaDB that ignores the configuration of the system. The first start creates the data directory. A
 * later start keeps the data and the password. Resolves when MariaDB answers a query.
 */
export async function startMariadb({ dir, port, args = [], signal }: StoreOptions): Promise<LocalMariadb> {
  const command = await findProgram('mariadbd')
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const home = await realpath(dir)
  const data = join(home, 'data')
  const env = await environmentIn(home)
  if (!existsSync(data)) await createData(home, data, env, signal)
  const password = await readPassword(home)
  const server = await startServer({
    name: 'mariadb',
    dir: home,
    mark: data,
    command,
    args: port => [
      '--no-defaults',
      `--datadir=${data}`,
      ...asRoot,
      '--bind-address=127.0.0.1',
      `--port=${port}`,
      // This path is relative to the data directory, because the path of a socket has at most 107 bytes.
      '--socket=mariadb.sock',
      `--pid-file=${join(home, 'mariadbd.pid')}`,
      `--init-file=${join(home, 'init.sql')}`,
      '--skip-name-resolve',
      '--character-set-server=utf8mb4',
      '--max-connections=500',
      ...args
    ],
    env: () => env,
    cwd: home,
    port,
    graceMs,
    signal,
    notReady: port => query(port, password)
  })
  return { ...server, user, password }
}

/** Stops a MariaDB that a killed run left running on this directory. */
export async function endLeftoverMariadb(dir: string): Promise<void> {
  if (!existsSync(dir)) return
  const home = await realpath(dir)
  await endLeftover({ name: 'mariadb-install', dir: home, mark: join(home, 'data.new') })
  await endLeftover({ name: 'mariadb', dir: home, mark: join(home, 'data'), graceMs })
}

/** Creates a database in a private MariaDB if it does not exist. `name` must be a valid identifier. */
export async function createDatabase(store: LocalMariadb, name: string): Promise<void> {
  const { host, port, user, password } = store
  const connection = await createConnection({ host, port, user, password, connectTimeout: 10_000 })
  try {
    await connection.query(`CREATE DATABASE IF NOT EXISTS \`${name}\` CHARACTER SET utf8mb4`)
  } finally {
    await connection.end()
  }
}

// The short form is -u, because with --user the installer also changes the owner of system files.
const asRoot = process.getuid?.() === 0 ? ['-uroot'] : []

/**
 * Returns the environment of a MariaDB with its own directory for temporary tables. MariaDB empties this directory when
 * it starts, so in the directory of the system it would delete the tables of other servers. This uses TMPDIR, because
 * the option of the installer does not allow a space in the path.
 */
async function environmentIn(home: string): Promise<NodeJS.ProcessEnv> {
  const directory = join(home, 'tmp')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  return { ...process.env, TMPDIR: directory }
}

// Uses another name until the data is complete, so that an interrupted installation never counts as finished.
async function createData(
  home: string,
  data: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal | undefined
): Promise<void> {
  const unfinished = `${data}.new`
  const options = { name: 'mariadb-install', dir: home, mark: unfinished }
  const command = await findProgram('mariadb-install-db')
  // The installer of a killed run may still write to this directory.
  await endLeftover(options)
  await rm(unfinished, { recursive: true, force: true, maxRetries: 10 })
  const installer = await startProcess({
    ...options,
    env,
    command,
    args: [
      '--no-defaults',
      `--datadir=${unfinished}`,
      // Only root of the system may log in as root, over the socket. Otherwise root has an empty password.
      '--auth-root-authentication-method=socket',
      '--skip-test-db',
      '--skip-name-resolve',
      ...asRoot
    ]
  })
  const stop = () => void installer.stop()
  signal?.addEventListener('abort', stop)
  if (signal?.aborted) stop()
  const exit = await installer.exited
  signal?.removeEventListener('abort', stop)
  signal?.throwIfAborted()
  if (exit.code !== 0) {
    throw new Error(
      `mariadb-install-db ended with ${describeExit(exit)}. The end of ${installer.log}:\n${installer.lastLines()}`
    )
  }
  await rename(unfinished, data)
}

/** Reads the password. The first call creates it. The server sets it from the init file at each start. */
async function readPassword(home: string): Promise<string> {
  const file = join(home, 'password')
  let password = existsSync(file) ? (await readFile(file, 'utf8')).trim() : ''
  if (password === '') {
    password = randomBytes(24).toString('base64url')
    await writeFile(file, `${password}\n`, { mode: 0o600 })
  }
  const account = `'${user}'@'127.0.0.1'`
  const statements = [
    `CREATE USER IF NOT EXISTS ${account}`,
    `ALTER USER ${account} IDENTIFIED BY '${password}'`,
    `GRANT ALL PRIVILEGES ON *.* TO ${account} WITH GRANT OPTION`
  ]
  await writeFile(join(home, 'init.sql'), statements.map(statement => `${statement};\n`).join(''), {
    mode: 0o600
  })
  return password
}

async function query(port: number, password: string): Promise<string | undefined> {
  try {
    const connection = await createConnection({
      host: '127.0.0.1',
      port,
      user,
      password,
      connectTimeout: 2000
    })
    await connection.query('SELECT 1').finally(() => connection.end())
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}
