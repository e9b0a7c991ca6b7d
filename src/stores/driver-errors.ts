import {
  AlreadyChanged,
  Contention,
  DuplicateKey,
  GroupExists,
  GroupMissing,
  isUnavailable,
  NoNewConnection,
  NotPermitted,
  ReadOnlyReplica,
  ScriptMissing,
  SlotMoved,
  SlotMoving,
  StoreRefused,
  StoreUnavailable,
  UnexplainedStoreError
} from './errors.ts'
import { isServerAnswer } from './reason.ts'
import { isRedisAnswer } from './server-answer.ts'

/** The classes of errors.ts that this file makes. */
const CLASSES = [
  StoreUnavailable,
  UnexplainedStoreError,
  GroupMissing,
  GroupExists,
  ScriptMissing,
  DuplicateKey,
  AlreadyChanged,
  Contention
]

/** Returns whether an error has one of these classes already. Then the error keeps its class. */
function isClassified(error: Error): boolean {
  return CLASSES.some(type => error instanceof type)
}

/** First words of Redis's errors: https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors */
const REDIS_UNAVAILABLE = new Set([
  'LOADING', // it reads its data
  'MASTERDOWN', // a replica without its master
  'CLUSTERDOWN', // no master has the slot, or most masters are unavailable
  'BUSY', // a script runs
  'NOAUTH',
  'WRONGPASS'
])
const REDIS_REFUSED = new Set([
  'OOM', // at maxmemory
  'MISCONF', // it cannot save to its disk
  'NOREPLICAS'
])

/** A server of a cluster that does not have all keys of a call: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#redirection-and-resharding */
const MOVED = /^MOVED (\d+) (\S+)/
const REDIS_MOVING = new Set(['ASK', 'TRYAGAIN'])

/** A server that became a replica while a read waited. */
const UNBLOCKED_REPLICA = /^UNBLOCKED .*instance state changed/

/** The beginning of the driver's error for a call that finds no connection. */
const UNSENT = "Stream isn't writeable"

/** The beginnings of errors without a code of their own. */
const FORBIDDEN_IN_SCRIPT = "ERR The user executing the script can't " // Redis 7.0 for NOPERM of a command in a script
const TOO_MANY_CLIENTS = 'ERR max number of clients reached'

/**
 * Maps an error of the Redis driver to a class of errors.ts. The first word identifies errors of the server. Any other
 * error (closed socket, timeout, refused connection) means that no answer came. Use it only for the errors of the
 * driver's own calls.
 */
export function fromRedis(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error))
  if (isClassified(error)) return error
  if (error.message.startsWith(UNSENT))
    return new StoreUnavailable('redis', new Error('there is no connection', { cause: error }))
  if (!isRedisAnswer(error)) return new StoreUnavailable('redis', error)
  const word = error.message.split(' ', 1)[0] ?? ''
  if (word === 'NOSCRIPT') return new ScriptMissing(error.message, { cause: error })
  if (word === 'BUSYGROUP') return new GroupExists(error.message, { cause: error })
  if (UNBLOCKED_REPLICA.test(error.message)) return new ReadOnlyReplica('redis', error)
  // UNBLOCKED: the stream was deleted while a read waited on it.
  if (word === 'NOGROUP' || word === 'UNBLOCKED') return new GroupMissing(error.message, { cause: error })
  if (word === 'NOPERM' || error.message.startsWith(FORBIDDEN_IN_SCRIPT))
    return new NotPermitted('redis', error)
  if (error.message.startsWith(TOO_MANY_CLIENTS)) return new StoreUnavailable('redis', error)
  if (word === 'READONLY') return new ReadOnlyReplica('redis', error)
  const [, slot, address] = MOVED.exec(error.message) ?? []
  if (address !== undefined) return new SlotMoved(Number(slot), address, error)
  if (REDIS_MOVING.has(word)) return new SlotMoving('redis', error)
  if (REDIS_REFUSED.has(word)) return new StoreRefused('redis', error)
  if (REDIS_UNAVAILABLE.has(word)) return new StoreUnavailable('redis', error)
  return withoutCall(error)
}

/** errno of MySQL and MariaDB: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html */
const MYSQL_CONTENTION = new Set([
  1205, // lock wait timeout
  1213, // deadlock
  1020 // MariaDB: record has changed since last read
])
const MYSQL_UNAVAILABLE = new Set([
  1040, // too many connections
  1045, // access denied
  1053, // server shutdown in progress
  1129, // host blocked
  1158, // network read error
  1159, // network read timeout
  1203, // more than max_user_connections
  1226, // the account is at one of its limits
  1317, // query interrupted (KILL QUERY)
  1698, // access denied without a password
  1927 // MariaDB: connection killed
])
const MYSQL_CONNECTION_LIMITS = new Set([1040, 1203, 1226])
const MYSQL_REFUSED = new Set([
  1021, // disk full
  1114, // table full, which mostly means the disk
  1290, // read-only server
  1792, // read-only transaction, the server's default for new sessions
  1836 // read-only mode
])
const MYSQL_NOT_PERMITTED = new Set([
  1044, // access to the database
  1142, // command on the table
  1143, // command on a column
  1227 // missing privilege
])
/** The SQLSTATE classes of faults in the data: a value out of range, and a violated constraint. */
const MYSQL_DATA = new Set(['22', '23'])
const SYNTAX_ERROR = 1064
const MYSQL_ALREADY_CHANGED = new Set([
  1050, // table exists
  1060, // duplicate column name
  1061, // duplicate key name
  1091 // the key or column to drop does not exist
])
const DUPLICATE_KEY = 1062

/**
 * Maps an error of the MySQL driver to a class of errors.ts, by errno. An error without an errno means that no answer
 * came. Use it only for the errors of the driver's own calls, because an error of another library may have a `code`,
 * too.
 */
export function fromMysql(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error))
  if (isClassified(error)) return error
  const { errno, sqlState } = error as { errno?: number; sqlState?: string }
  if (errno === undefined || sqlState === undefined) {
    return 'code' in error || 'fatal' in error ? new StoreUnavailable('mysql', error) : error
  }
  if (errno === DUPLICATE_KEY) return new DuplicateKey(error.message, { cause: error })
  if (MYSQL_ALREADY_CHANGED.has(errno)) return new AlreadyChanged(error.message, { cause: error })
  if (MYSQL_CONTENTION.has(errno)) return new Contention(error.message, { cause: error })
  if (MYSQL_NOT_PERMITTED.has(errno)) return new NotPermitted('mysql', error)
  if (MYSQL_REFUSED.has(errno)) return new StoreRefused('mysql', error)
  if (MYSQL_UNAVAILABLE.has(errno)) return new StoreUnavailable('mysql', error)
  if (errno === SYNTAX_ERROR || MYSQL_DATA.has(sqlState.slice(0, 2))) return withoutCall(error)
  return new UnexplainedStoreError('mysql', Object.assign(error, { errno }))
}

/**
 * Maps the error of a new MySQL connection to NoNewConnection if open connections may still work. Other errors stay
 * unchanged.
 */
export function forNewConnection(error: unknown): unknown {
  if (!isUnavailable(error, 'mysql')) return error
  const { cause } = error as StoreUnavailable
  const isLimit = MYSQL_CONNECTION_LIMITS.has((cause as { errno?: number } | undefined)?.errno as number)
  return isLimit || !isServerAnswer(error) ? new NoNewConnection('mysql', cause) : error
}

/** Removes the call that a driver attaches to its error. Otherwise each log line would contain a whole batch. */
function withoutCall(error: Error): Error {
  for (const name of ['command', 'sql', 'parameters']) Reflect.deleteProperty(error, name)
  return error
}
