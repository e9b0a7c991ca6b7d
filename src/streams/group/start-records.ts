import type { MysqlStore } from '../../stores/mysql/store.ts'

/** The rows of `function_starts`: one for each function on a log. */
export interface StartRecords {
  /**
   * Records the start positions of a function's groups, unless the function has a record already. Returns the positions
   * in the record: one for each partition; null when the groups existed before.
   */
  agree: (stream: string, group: string, positions: string[] | null) => Promise<string[] | null>
  /** Records that all groups of a function were created. */
  existed: (stream: string, group: string) => Promise<void>
  /** Removes a record. Returns whether there was one. */
  remove: (stream: string, group: string) => Promise<boolean>
}

const INSERT =
  'INSERT INTO function_starts (stream, group_name, positions) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE'

/** Creates the access to the records in the table `function_starts`. */
export function createStartRecords(mysql: MysqlStore): StartRecords {
  const run = (sql: string, values: unknown[]) =>
    mysql.transaction(transaction => transaction.run(sql, values))
  return {
    agree: async (stream, group, positions) => {
      const own = positions && JSON.stringify(positions)
      await run(`${INSERT} group_name = group_name`, [stream, group, own])
      const [row] = await mysql.rows<{ positions: string | null }>(
        'SELECT positions FROM function_starts WHERE stream = ? AND group_name = ?',
        [stream, group]
      )
      if (!row) throw new Error(`the record of ${group} was removed while it began`)
      return row.positions === null ? null : JSON.parse(row.positions)
    },
    existed: async (stream, group) => {
      await run(`${INSERT} positions = NULL`, [stream, group, null])
    },
    remove: async (stream, group) => {
      const sql = 'DELETE FROM function_starts WHERE stream = ? AND group_name = ?'
      return (await run(sql, [stream, group])).affectedRows > 0
    }
  }
}
