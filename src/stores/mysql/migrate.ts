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

/** How long a process waits for another one that is migrating, in seconds, and how much longer for the answer (ms). */
const LOCK_WAIT = 60
const ANSWER_WAIT = 5000

/** How long a statement of the schema waits for the others on its table, whom it holds up meanwhile (s). */
const TABLE_WAIT = 20

/** When TCP begins to ask whether the other end is there (ms): a statement of the schema may take long, in silence. */
const KEEP_ALIVE_DELAY = 10_000

/** errno of a statement that the server cannot read. */
const SYNTAX_ERROR = 1064

/**
 * What is done before and after the migrations, on their connection and under their lock, because SQL files alone cannot.
 * Each start does it again, so each step finds out first whether there is anything to do.
 */
export interface MigrationSteps {
  /** Runs before the migrations, with the version that is noted; 0 when there is none. */
  before: (connection: Connection, version: number, log: FastifyBaseLogger) => Promise<void>
  after: (connection: Connection, log: FastifyBaseLogger) => Promise<void>
}

/** What belongs to the migrations beside their files. */
export interface MigrationOptions {
  steps?: MigrationSteps | undefined
  /** Folder of what functions need, which has versions of its own. */
  functions?: string | undefined
}

/**
 * Brings the database to the newest schema that this code knows. Whichever process comes first does it, under an
 * advisory lock; the others wait and find it done. A schema that is already newer (rolling deploy) is left alone, since
 * no file undoes anything. A migration that was cut off goes on where it was: a statement of the schema commits at once,
 * by itself, and the version is only noted after the last one.
 * @throws {SchemaRefused} when a table is not as this code needs it; before anything is changed, if that shows then.
 * @throws also when the server is too old for this code.
 */
export async function migrate(
  options: ConnectionOptions,
  log: FastifyBaseLogger,
  { steps, functions = join(MIGRATIONS, 'functions') }: MigrationOptions = {}
): Promise<void> {
  const connection = await createConnection({ ...options, keepAliveInitialDelay: KEEP_ALIVE_DELAY })
  // Without a listener a connection that is lost while idle would end the process.
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
    // Not with a goodbye, for whose answer it could wait in vain; the lock goes with the connection.
    connection.destroy()
  }
}

interface Run {
  connection: Connection
  database: string | undefined
  log: FastifyBaseLogger
}

/** Applies the migrations of Orderstream, and compares the tables with what the code needs before and after them. */
async function applyOwn(run: Run, steps: MigrationSteps | undefined): Promise<void> {
  const { connection, log } = run
  const noted = await readVersion(connection)
  const newest = await createPostgrator(run, MIGRATIONS, 'schema_version').getMaxVersion()
  if (noted < newest) {
    await steps?.before(connection, noted, log)
    await refuseFaults(connection, false)
  }
  await applyFolder(run, MIGRATIONS, 'schema_version')
  // A newer version has checked its schema itself.
  if (noted <= newest) await refuseFaults(connection, true)
}

/** Throws the first fault of the tables; all columns have to be there when the migrations are `complete`. */
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
    // A glob: what has a meaning there may stand in the name of the folder that this is installed in.
    migrationPattern: `${folder.replace(/[?*()[\]{}\\]/g, '\\$&')}/*.sql`,
    schemaTable: table,
    execQuery: async query => ({ rows: (await connection.query<RowDataPacket[]>(query))[0] }),
    execSqlScript: script => runScript(connection, script)
  })
}

/** Applies what functions need. A fault in it is logged, and holds up no order; the next start tries it again. */
async function applyFunctions(run: Run, folder: string): Promise<void> {
  if (!existsSync(folder) || !readdirSync(folder).some(name => name.endsWith('.sql'))) return
  await applyFolder(run, folder, 'function_schema_version').catch(error => {
    const known = fromMysql(error)
    if (known instanceof StoreUnavailable || known instanceof Contention) throw known
    run.log.error({ err: known }, 'a migration of the functions failed')
  })
}

/**
 * What is done without Redis passes over rows that others hold, which an older server cannot be told: each order that
 * is to be accepted so would be a fault. The statement is only prepared, which reads and locks nothing.
 * @throws when this server cannot.
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
 * Runs the statements of a migration. One that has been made already is what a start that was cut off left, or a fault
 * that is found once all have run.
 */
async function runScript(connection: Connection, script: string): Promise<void> {
  for (const statement of statementsOf(script)) {
    await connection.query(statement).catch(error => {
      if (!(fromMysql(error) instanceof AlreadyChanged)) throw error
    })
  }
}

/** The statements of a migration: each ends with a semicolon at the end of its line. */
export function statementsOf(script: string): string[] {
  return script.split(/;[ \t]*$/m).filter(statement => statement.trim() !== '')
}
