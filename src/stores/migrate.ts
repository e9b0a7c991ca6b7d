import { join } from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import { type Connection, type ConnectionOptions, createConnection, type RowDataPacket } from 'mysql2/promise'
import Postgrator from 'postgrator'
import { AlreadyChanged, fromMysql } from './errors.ts'
import { sessionStatements } from './mysql-pool.ts'

/** A glob: what has a meaning there may stand in the name of the folder that this is installed in. */
const MIGRATIONS = `${join(import.meta.dirname, '../../migrations').replace(/[?*()[\]{}\\]/g, '\\$&')}/*.sql`

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
 * Brings the database to the newest schema that this code knows. Whichever process comes first does it, under an
 * advisory lock; the others wait and find it done. A schema that is already newer (rolling deploy) is left alone, since
 * no file undoes anything. A migration that was cut off goes on where it was: a statement of the schema commits at once,
 * by itself, and the version is only noted after the last one.
 * @throws also when the server is too old for this code.
 */
export async function migrate(options: ConnectionOptions, log: FastifyBaseLogger): Promise<void> {
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

    const postgrator = new Postgrator({
      driver: 'mysql',
      ...(options.database !== undefined && { database: options.database }),
      migrationPattern: MIGRATIONS,
      schemaTable: 'schema_version',
      execQuery: async query => ({ rows: (await connection.query<RowDataPacket[]>(query))[0] }),
      execSqlScript: script => runScript(connection, script)
    })
    for (const { version, name } of await postgrator.migrate())
      log.info({ version, name }, 'migration applied')
    await requireSkipLocked(connection)
  } finally {
    // Not with a goodbye, for whose answer it could wait in vain; the lock goes with the connection.
    connection.destroy()
  }
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

/** Runs the statements of a migration. One that has been made already is what a start that was cut off left. */
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
