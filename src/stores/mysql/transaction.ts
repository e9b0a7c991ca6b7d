import type { ResultSetHeader } from 'mysql2/promise'
import { Contention, isUnavailable } from '../errors.ts'
import { type MysqlPool, query } from './pool.ts'

/** One connection inside a transaction. Its statements fail with classes of errors.ts. */
export interface Transaction {
  rows: <T>(sql: string, values: unknown[]) => Promise<T[]>
  run: (sql: string, values: unknown[]) => Promise<ResultSetHeader>
}

/**
 * A statement was not awaited and came after the end of its transaction. It would become part of another transaction.
 */
class TransactionEnded extends Error {
  override name = 'TransactionEnded'

  constructor() {
    super('The transaction has ended before this statement: await every statement of a transaction.')
  }
}

/**
 * Runs `work` in a transaction, once. `timeout` is the limit of each statement, in milliseconds. An error of `work`
 * rolls back and stays unchanged. A statement that gets no answer, or fails because another transaction won, ends the
 * transaction. Later statements then fail with the same error, and so does the transaction, even if `work` caught the
 * error.
 */
export function runTransaction<T>(
  pool: MysqlPool,
  work: (transaction: Transaction) => Promise<T>,
  timeout: number
): Promise<T> {
  return pool.using(async connection => {
    let over: unknown
    let lost = false
    const cut = Promise.withResolvers<never>()
    cut.promise.catch(() => {})
    const send = async <R>(sql: string, values: unknown[] = []): Promise<R> => {
      try {
        // The driver never settles a statement that waits behind one without an answer.
        return await Promise.race([query<R>(connection, sql, values, timeout), cut.promise])
      } catch (error) {
        if (isUnavailable(error, 'mysql')) {
          lost = true
          cut.reject(error)
        }
        if (lost || error instanceof Contention) over ??= error
        throw error
      }
    }
    const statement = async <R>(sql: string, values?: unknown[]): Promise<R> => {
      if (over) throw over
      return send(sql, values)
    }
    const end = async (sql: 'COMMIT' | 'ROLLBACK') => {
      over = new TransactionEnded()
      await send(sql)
    }
    await statement('START TRANSACTION')
    try {
      const result = await work({ rows: statement, run: statement })
      if (over) throw over
      await end('COMMIT')
      return result
    } catch (error) {
      // A connection that is closed rolls back as well.
      if (!lost) await end('ROLLBACK').catch(() => {})
      throw error
    }
  })
}
