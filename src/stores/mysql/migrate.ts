import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import { type Connection, type ConnectionOptions, createConnection, type RowDataPacket } from 'mysql2/promise'
import Postgrator from 'postgrator'
import { fromMysql } from '../driver-errors.ts'
import { AlreadyChanged, Contention, StoreUnavailable } from '../errors.ts'
import { sessionStatements } from './pool.ts'
import { findFaults, readVersion } from './schema-check.ts'

const MIGRATIONS = join(import.meta.dirname, '../../../migrations')

/**
 * The longest time that a process waits for the migrations of another process (s), and the extra time for the answer
 * (ms).
 */
const LOCK_WAIT = 60
const ANSWER_WAIT = 5000

/**
 * The longest time that a schema change waits for the lock on its table (s). Other work on the table waits behind it.
 */
const TABLE_WAIT = 20

/** The silence after which TCP probes the other end (ms). A schema change may send no byte for a long time. */
const KEEP_ALIVE_DELAY = 10_000

/** errno of a statement that the server cannot parse. */
const SYNTAX_ERROR = 1064

/**
 * Steps before and after the migrations that SQL files cannot do. They use the same connection and the same lock. Each
 * start runs them again, so each step first checks whether it is needed.
 */
export interface MigrationSteps {
  /** Runs before the migrations. The argument is the recorded version; 0 when no version is recorded. */
  before: (connection: Connection, version: number, log: FastifyBaseLogger) => Promise<void>
  after: (connection: Connection, log: FastifyBaseLogger) => Promise<void>
}

/** Options of the migrations, besides their files. */
export interface MigrationOptions {
  steps?: MigrationSteps | undefined
  /** The folder with the migrations of functions. Their versions are independent. */
  functions?: string | undefined
}

/**
 * Brings the database to the newest schema of this code. The first process migrates under an advisory lock. Other
 * processes wait, and then have nothing to do. A newer schema stays unchanged, for a rolling deploy. An interrupted
 * migration continues at its next statement: each schema change commits by itself, and the version is recorded at the
 * end.
 * @throws {SchemaRefused} when a table does not fit this code; if possible, before anything is changed.
 * @throws {Error} when the server is too old for this code.
 */
export async function migrate(
  options: ConnectionOptions,
  log: FastifyBaseLogger,
  { steps, functions = join(MIGRATIONS, 'functions') }: MigrationOptions = {}
): Promise<void> {
  const connection = await createConnection({ ...options, keepAliveInitialDelay: KEEP_ALIVE_DELAY })
  // Without a listener, a connection that is lost while idle would end the process.
  connection.on('error', () => {})
  try {
    for (const statement of sessionStatements(TABLE_WAIT)) await connection.query(statement)
    const lock = "CONCAT('orderstream-migrate-', MD5(DATABASE()))"
    const sql = `SELECT GET_LOCK(${lock}, ${LOCK_WAIT}) AS taken`
    const timeout = LOCK_WAIT * 1000 + ANSWER_WAIT
    const [[row]] = await connection.query<RowDataPacket[]>({ sql, timeout })
    if (row?.taken !== 1)
      throw new Error(`another process has been migrating the database for over ${LOCK_WAIT} s`)

    const run = { connection, database: options.database, log }
    await applyOwn(run, steps)
    await requireSkipLocked(connection)
    await steps?.after(connection, log)
    await applyFunctions(run, functions)
  } finally {
    // Closes the connection without a message to the server, because the answer may never come. The lock ends with the
    // connection.
    connection.destroy()
  }
}

interface Run {
  connection: Connection
  database: string | undefined
  log: FastifyBaseLogger
}

/** Applies the migrations of Orderstream. Compares the tables with what the code needs, before and after. */
async function applyOwn(run: Run, steps: MigrationSteps | undefined): Promise<void> {
  const { connection, log } = run
  const recorded = await readVersion(connection)
  const newest = await createPostgrator(run, MIGRATIONS, 'schema_version').getMaxVersion()
  if (recorded < newest) {
    const line = { from: recorded, to: newest }
    log.info(line, 'migrating the database: this process counts MySQL as unavailable until the end')
    await steps?.before(connection, recorded, log)
    await refuseFaults(connection, false)
  }
  await applyFolder(run, MIGRATIONS, 'schema_version')
  // A newer version has already checked its own schema.
  if (recorded <= newest) await refuseFaults(connection, true)
}

/** Throws the first fault of the tables. All columns must exist once the migrations are `complete`. */
async function refuseFaults(connection: Connection, complete: boolean): Promise<void> {
  const [fault] = await findFaults(connection, complete)
  if (fault) throw fault
}

/** Applies the migrations of a folder that are newer than the version in a table. */
async function applyFolder(run: Run, folder: string, table: string): Promise<void> {
  for (const { version, name } of await createPostgrator(run, folder, table).migrate())
    run.log.info({ version, name, table }, 'migration applied')
}

function createPostgrator({ connection, database }: Run, folder: string, table: string): Postgrator {
  return new Postgrator({
    driver: 'mysql',
    ...(database !== undefined && { database }),
    // The pattern is a glob, and the name of the folder may contain special characters of a glob.
    migrationPattern: `${folder.replace(/[?*()[\]{}\\]/g, '\\$&')}/*.sql`,
    schemaTable: table,
    execQuery: async query => ({ rows: (await connection.query<RowDataPacket[]>(query))[0] }),
    execSqlScript: script => runScript(connection, script)
  })
}

/** Applies the migrations of functions. A fault is logged and does not stop the others. The next start tries again. */
async function applyFunctions(run: Run, folder: string): Promise<void> {
  if (!existsSync(folder) || !readdirSync(folder).some(name => name.endsWith('.sql'))) return
  await applyFolder(run, folder, 'function_schema_version').catch(error => {
    const known = fromMysql(error)
    if (known instanceof StoreUnavailable || known instanceof Contention) throw known
    run.log.error({ err: known }, 'a migration of the functions failed')
  })
}

/**
 * Checks that the server supports SKIP LOCKED, which spilled orders need. It only prepares a statement, which reads and
 * locks nothing.
 * @throws {Error} when the server does not support it.
 */
async function requireSkipLocked(connection: Connection): Promise<void> {
  await connection
    .query("PREPARE skip_locked FROM 'SELECT slot FROM order_totals FOR UPDATE SKIP LOCKED'")
    .catch(cause => {
      throw (cause as { errno?: number }).errno === SYNTAX_ERROR
        ? new Error('MySQL is older than 8.0, or MariaDB than 10.6: it knows no SKIP LOCKED', { cause })
        : cause
    })
}

/**
 * Runs the statements of a migration. Skips a change that exists already: an interrupted start has made it. If not, the
 * check after the migrations finds the fault.
 */
async function runScript(connection: Connection, script: string): Promise<void> {
  for (const statement of statementsOf(script)) {
    await connection.query(statement).catch(error => {
      if (!(fromMysql(error) instanceof AlreadyChanged)) throw error
    })
  }
}

/** Splits a migration into its statements. Each ends with a semicolon at the end of its line. */
export function statementsOf(script: string): string[] {
  return script.split(/;[ \t]*$/m).filter(statement => statement.trim() !== '')
}
