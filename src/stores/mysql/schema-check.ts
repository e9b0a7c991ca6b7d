import { readFileSync } from 'node:fs'
import type { Connection, RowDataPacket } from 'mysql2/promise'

/** The type of each column, as `describeType` writes it. */
type Types = Record<string, string>

/**
 * The columns of a table: the columns of its CREATE TABLE, the columns of later migrations, and the types before a
 * migration changes them.
 */
interface TableColumns {
  created: Types
  added?: Types
  before?: Types
}

/** Every table of the newest schema, with the type of each column as `describeType` writes it. */
const TABLES: Record<string, TableColumns> = JSON.parse(
  readFileSync(new URL('../../../migrations/columns.json', import.meta.url), 'utf8')
)

/** The names of the tables of the newest schema. */
export const TABLE_NAMES = Object.keys(TABLES)

/** The columns of the table in which Postgrator records versions. Postgrator adds a missing column. */
const VERSION_COLUMNS = new Set(['version', 'name', 'md5', 'run_at'])

/** The end of each message. */
const OTHER_DATABASE = 'or set DB_NAME to a database of its own'

/** The database has a table that this code cannot use. The message names the table, the column and the remedy. */
export class SchemaRefused extends Error {
  override name = 'SchemaRefused'
  readonly table: string

  constructor(table: string, message: string) {
    super(message)
    this.table = table
  }
}

/** A column as `information_schema` describes it. */
export interface Column {
  name: string
  /** As `describeType` writes it. */
  type: string
  /** Whether an INSERT has to name the column. */
  required: boolean
}

interface ColumnRow extends RowDataPacket {
  tab: string
  kind: string
  col: string
  type: string
  collation: string | null
  nullable: 'YES' | 'NO'
  part: string
  /** The other columns of a unique key that begins with this column; null for none. */
  with: string | null
  fallback: string | null
  extra: string
}

/**
 * Returns the version of the newest recorded migration; 0 when there is none.
 * @throws {SchemaRefused} when another program uses the table of versions.
 */
export async function readVersion(connection: Connection): Promise<number> {
  const table = 'schema_version'
  const columns = (await readTables(connection, [table])).get(table)
  if (!columns) return 0
  const unknown = columns.find(({ name }) => !VERSION_COLUMNS.has(name))
  if (unknown || !columns.some(({ name }) => name === 'version')) {
    const why = unknown ? `it has the unknown column ${unknown.name}` : 'it lacks the column version'
    throw new SchemaRefused(
      table,
      `The table ${table} is not of Orderstream: ${why}. Rename the table, ${OTHER_DATABASE}.`
    )
  }
  const [[row]] = await connection.query<RowDataPacket[]>(`SELECT MAX(version) AS version FROM ${table}`)
  return Number(row?.version ?? 0)
}

/**
 * Finds columns that this code cannot use, one fault for each. Before the migrations (`complete` is false), tables and
 * columns of later migrations may be missing. An unknown column is a fault only if an INSERT has to name it.
 */
export async function findFaults(connection: Connection, complete: boolean): Promise<SchemaRefused[]> {
  const tables = await readTables(connection, TABLE_NAMES)
  return Object.entries(TABLES).flatMap(([table, { created, added = {}, before = {} }]) => {
    const columns = tables.get(table)
    if (!columns) {
      const message = `The table ${table} is missing, or this user may not see it, though its migration is noted as applied. Restore it, ${OTHER_DATABASE}.`
      return complete ? [new SchemaRefused(table, message)] : []
    }
    const known = { ...created, ...added }
    return complete
      ? findTableFaults(table, columns, { known, needed: known })
      : findTableFaults(table, columns, { known, needed: created, before })
  })
}

function findTableFaults(
  table: string,
  columns: Column[],
  { known, needed, before = {} }: Record<'known' | 'needed', Types> & { before?: Types }
): SchemaRefused[] {
  const refuse = (name: string, fault: string, remedy: string) =>
    new SchemaRefused(
      table,
      `The table ${table} cannot be used: the column ${name} ${fault}. ${remedy}, or rename the table, ${OTHER_DATABASE}.`
    )
  const names = new Set(columns.map(({ name }) => name))
  const missing = Object.entries(needed)
    .filter(([name]) => !names.has(name))
    .map(([name, type]) => refuse(name, 'is missing', `Add it as ${type}`))
  const wrong = columns.flatMap(({ name, type, required }) => {
    const expected = known[name]
    if (expected === undefined)
      return required ? [refuse(name, 'is unknown and has no default', 'Add a default to it')] : []
    if (fits(type, expected) || type === before[name]) return []
    return [refuse(name, `is ${type}, not ${expected}`, 'Change it')]
  })
  return [...missing, ...wrong]
}

/** Returns whether a type is the expected type. An expected type without a collation accepts any collation. */
function fits(type: string, expected: string): boolean {
  return type === expected || type.replace(' ascii_bin', '') === expected
}

/** Reads the columns of the tables and views that exist, in the order of the table. */
export async function readTables(connection: Connection, names: string[]): Promise<Map<string, Column[]>> {
  const [rows] = await connection.query<ColumnRow[]>(
    `SELECT t.table_name AS tab, t.table_type AS kind, c.column_name AS col, c.column_type AS type,
       c.collation_name AS collation, c.is_nullable AS nullable, c.column_key AS part, c.column_default AS fallback,
       c.extra AS extra, k.others AS \`with\`
     FROM information_schema.tables t
     JOIN information_schema.columns c ON c.table_schema = t.table_schema AND c.table_name = t.table_name
     LEFT JOIN (
       SELECT table_name AS tab, MAX(IF(seq_in_index = 1, column_name, NULL)) AS first,
         GROUP_CONCAT(IF(seq_in_index > 1, column_name, NULL) ORDER BY seq_in_index) AS others
       FROM information_schema.statistics
       WHERE table_schema = DATABASE() AND non_unique = 0 AND index_name <> 'PRIMARY'
       GROUP BY table_name, index_name HAVING others IS NOT NULL
     ) k ON k.tab = t.table_name AND k.first = c.column_name
     WHERE t.table_schema = DATABASE() AND t.table_name IN (?)
     ORDER BY t.table_name, c.ordinal_position`,
    [names]
  )
  const tables = new Map<string, Column[]>()
  for (const row of rows) {
    const columns = tables.get(row.tab) ?? []
    tables.set(row.tab, columns)
    columns.push({
      name: row.col,
      type: describeType(row),
      required: row.nullable === 'NO' && row.fallback === null && !/auto_increment|generated/i.test(row.extra)
    })
  }
  return tables
}

/** Returns whether a column is MariaDB's JSON. No other long text has this collation by default. */
function isMariaJson(type: string, collation: string | null): boolean {
  return type === 'longtext' && collation === 'utf8mb4_bin'
}

/** Describes a column with the properties that this code needs, such as `varchar(100) ascii_bin unique`. */
function describeType({ kind, type, collation, nullable, part, with: others, extra }: ColumnRow): string {
  return [
    // JSON is a text with a check in MariaDB, which also writes a display width.
    isMariaJson(type, collation) ? 'json' : type.toLowerCase().replace(/^(\w*int)\(\d+\)/, '$1'),
    ...(collation === 'ascii_bin' ? [collation] : []),
    ...(nullable === 'YES' ? ['null'] : []),
    ...(part === 'PRI' ? ['primary'] : part === 'UNI' ? ['unique'] : []),
    ...(others === null ? [] : [`unique with ${others}`]),
    ...(extra.includes('auto_increment') ? ['auto_increment'] : []),
    ...(kind === 'BASE TABLE' ? [] : [`in a ${kind.toLowerCase()}`])
  ].join(' ')
}
