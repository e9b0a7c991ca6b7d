import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import type { Pool, PoolConnection } from 'mysql2'
import type { Pool as PromisePool } from 'mysql2/promise'
import { fromMysql } from '../driver-errors.ts'
import { StoreUnavailable } from '../errors.ts'

/** A command of mysql2: a statement, a ping, or the preparation of a statement. */
interface Command extends EventEmitter {
  timeout?: number
  onResult?: (error: Error | null, ...results: unknown[]) => void
}

/** The part of mysql2 that has no types: every command of a connection goes through `addCommand`. */
interface Internals {
  addCommand: (command: Command) => Command
  stream: Socket
}

/** The dependencies of a pool of promises. */
export interface PromisePoolOptions {
  /** Returns a connection with a prepared session, for use until it is released or destroyed. */
  lend: () => Promise<PoolConnection>
  /** Makes the pool reset the session of a connection before its next use. */
  resetLater: (connection: PoolConnection) => void
  /** The longest time of a command without a `timeout` of its own (ms). */
  limit: number
}

/**
 * Returns the promise pool of mysql2 over the guarded pool of this service, for functions that use mysql2 as its
 * documentation shows. A connection has a prepared session and comes within the deadline of the pool. A command without
 * an answer fails. Errors of MySQL stay errors of mysql2. Any other error becomes {StoreUnavailable}.
 */
export function createPromisePool(pool: Pool, options: PromisePoolOptions): PromisePool {
  const { lend, resetLater, limit } = options
  pool.on('connection', connection => limitCommands(connection, limit))
  pool.getConnection = callback => {
    lend().then(
      connection => process.nextTick(callback, null, connection),
      error => process.nextTick(callback, error)
    )
  }
  const promises = pool.promise()
  const getConnection = promises.getConnection.bind(promises)
  promises.getConnection = async () => {
    const connection = await getConnection()
    // The user of the connection may leave a transaction open, or a variable set.
    resetLater(connection.connection as unknown as PoolConnection)
    return connection
  }
  return promises
}

/** Fails each command that gets no answer. Its error gets a class, and a connection that hangs is closed. */
function limitCommands(connection: PoolConnection, limit: number): void {
  const internals = connection as unknown as Internals
  const pending = new Set<Command>()
  let add = internals.addCommand
  let timer: NodeJS.Timeout | undefined
  const watch = () => {
    clearTimeout(timer)
    if (pending.size === 0) return
    const longest = Math.max(limit, ...Array.from(pending, ({ timeout }) => timeout ?? 0))
    const expire = () =>
      internals.stream.destroy(
        new StoreUnavailable('mysql', new Error(`it has not answered for ${longest} ms`))
      )
    timer = setTimeout(expire, longest).unref()
  }
  const guarded = (command: Command): Command => {
    const { onResult } = command
    if (onResult)
      command.onResult = (error, ...results) =>
        onResult.call(command, error && withoutAnswer(error), ...results)
    pending.add(command)
    command.once('end', () => {
      pending.delete(command)
      watch()
    })
    if (pending.size === 1) watch()
    return add.call(connection, command)
  }
  connection.once('error', () => {
    pending.clear()
    watch()
  })
  // mysql2 sets another `addCommand` on a connection that it closes, and its error needs a class as well.
  Object.defineProperty(internals, 'addCommand', {
    get: () => guarded,
    set: (closed: typeof add) => {
      add = closed
    }
  })
}

/** Returns {StoreUnavailable} for an error that MySQL did not send, and every other error unchanged. */
function withoutAnswer(error: Error): Error {
  return 'sqlState' in error ? error : fromMysql(error)
}
