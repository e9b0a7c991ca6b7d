/** The two stores, as errors, health and metrics name them. */
export type StoreName = 'redis' | 'mysql'

/** The store did not answer, or not in time, or it refused for a reason that lies with it and not with the call. */
export class StoreUnavailable extends Error {
  override name = 'StoreUnavailable'
  readonly store: StoreName

  constructor(store: StoreName, cause?: unknown) {
    // An error that stands for several, as of a name with several addresses, has a code and no message.
    const reason = cause instanceof Error ? `: ${cause.message || (cause as NodeJS.ErrnoException).code}` : ''
    const known = cause instanceof StoreUnavailable && cause.store === store
    const advice = isAuthentication(cause) ? `: authentication failed, see ${CREDENTIALS[store]}` : ''
    super(known ? cause.message : `${store} is not available${advice}${reason}`, { cause })
    this.store = store
  }
}

/** Where the name and the password for a store are set. */
const CREDENTIALS: Record<StoreName, string> = {
  redis: 'REDIS_USERNAME and REDIS_PASSWORD',
  mysql: 'DB_USER and DB_PASSWORD'
}

/** Whether a server's error says that it refuses the name or the password of this process, or requires one. */
function isAuthentication(error: unknown): boolean {
  if (isRedisAnswer(error)) return /^(WRONGPASS|NOAUTH) /.test(error.message)
  const { errno, sqlState } = (error ?? {}) as { errno?: unknown; sqlState?: unknown }
  return sqlState !== undefined && MYSQL_AUTHENTICATION.has(errno as number)
}

/** What to tell those who may not read the log of a store that refuses the credentials; undefined of any other reason. */
export function describeAuthentication(error: unknown): string | undefined {
  if (!(error instanceof StoreUnavailable) || !isAuthentication(error.cause)) return undefined
  return `${error.store} refuses the credentials of this process: see ${CREDENTIALS[error.store]}, and start it anew.`
}

/** The store answers, but not this call: it takes no writes now (full, read-only, cannot persist), or forbids it. */
export class StoreRefused extends StoreUnavailable {
  override name = 'StoreRefused'
}

/** The user of the service may not do that; it may do other things. */
export class NotPermitted extends StoreRefused {
  override name = 'NotPermitted'
}

/** This Redis is a replica: after a failover, another server is the one that takes writes. */
export class ReadOnlyReplica extends StoreRefused {
  override name = 'ReadOnlyReplica'
}

/**
 * Other calls of this process have all the connections that it may have, for longer than this one could wait. The store
 * was not asked. As when it refuses, the call is not at fault, and the store not away.
 */
export class NoFreeConnection extends StoreRefused {
  override name = 'NoFreeConnection'
}

/** The store lets no new connection in, or not in time; those that are open may work as before. */
export class NoNewConnection extends StoreUnavailable {
  override name = 'NoNewConnection'
}

/** The consumer group, or the stream it belongs to, is gone (after a flush or a failover). */
export class GroupMissing extends Error {
  override name = 'GroupMissing'
}

/** The consumer group is there already. */
export class GroupExists extends Error {
  override name = 'GroupExists'
}

/** The server does not know a script by its hash: it was restarted or flushed; sending the text helps. */
export class ScriptMissing extends Error {
  override name = 'ScriptMissing'
}

/** A row with that unique key exists. */
export class DuplicateKey extends Error {
  override name = 'DuplicateKey'
}

/** A change of the schema finds what it adds there already, or what it drops gone: it has been made. */
export class AlreadyChanged extends Error {
  override name = 'AlreadyChanged'
}

/** The transaction lost against another one (deadlock, lock wait, changed record); doing it again may succeed. */
export class Contention extends Error {
  override name = 'Contention'
}

/**
 * The store answered with an error that blames neither the data nor itself. Whether the call or the store is at fault, only
 * a write shows that has nothing to do with the call.
 */
export class UnexplainedStoreError extends Error {
  override name = 'UnexplainedStoreError'
  readonly store: StoreName
  readonly errno: number

  constructor(store: StoreName, error: Error & { errno: number }) {
    super(error.message)
    this.store = store
    this.errno = error.errno
    if (error.stack) this.stack = error.stack
  }
}

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

/** Whether an error has a class of its own already: one that was caught further in must keep it. */
function isClassified(error: Error): boolean {
  return CLASSES.some(type => error instanceof type)
}

/** Whether an error says that this store, and not the other one, gave no answer that can be worked with. */
export function isUnavailable(error: unknown, store: StoreName): boolean {
  return error instanceof StoreUnavailable && !(error instanceof StoreRefused) && error.store === store
}

/** Whether a write that was tried shows that the store takes none now, and not that something else was in its way. */
export function isRefusal(error: unknown): boolean {
  return (
    error instanceof UnexplainedStoreError ||
    (error instanceof StoreUnavailable && !(error instanceof NoFreeConnection))
  )
}

/** First words of Redis's errors: https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors */
const REDIS_UNAVAILABLE = new Set([
  'LOADING', // it is reading its data
  'MASTERDOWN',
  'CLUSTERDOWN',
  'TRYAGAIN',
  'BUSY', // a script is running
  'NOAUTH',
  'WRONGPASS'
])
const REDIS_REFUSED = new Set([
  'OOM', // at maxmemory
  'MISCONF', // it cannot save to its disk
  'NOREPLICAS'
])

/** How the error of the driver begins for a call that finds no connection. */
const UNSENT = "Stream isn't writeable"

/** How errors begin that Redis has no word for. */
const FORBIDDEN_IN_SCRIPT = "ERR The user executing the script can't " // NOPERM, as Redis 7.0 says it of a script's command
const TOO_MANY_CLIENTS = 'ERR max number of clients reached'

/** Whether a Redis call failed by what the server said, and not for want of an answer. */
export function isRedisAnswer(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError'
}

/**
 * What a failed Redis call means, as a class. An error that the server sent is told apart by its first word;
 * anything else (closed socket, timeout, refused connection) means that no answer came. Only for errors of the driver's
 * own calls.
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
  // UNBLOCKED: the stream was deleted while a read was waiting on it.
  if (word === 'NOGROUP' || word === 'UNBLOCKED') return new GroupMissing(error.message, { cause: error })
  if (word === 'NOPERM' || error.message.startsWith(FORBIDDEN_IN_SCRIPT))
    return new NotPermitted('redis', error)
  if (error.message.startsWith(TOO_MANY_CLIENTS)) return new StoreUnavailable('redis', error)
  if (word === 'READONLY') return new ReadOnlyReplica('redis', error)
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
const MYSQL_AUTHENTICATION = new Set([1045, 1698])
const MYSQL_CONNECTION_LIMITS = new Set([1040, 1203, 1226])
const MYSQL_REFUSED = new Set([
  1021, // disk full
  1114, // table full, which mostly means the disk
  1290, // read-only server
  1792, // read-only transaction, which is the server's default for new sessions
  1836 // read-only mode
])
const MYSQL_NOT_PERMITTED = new Set([
  1044, // to use the database
  1142, // to do that to the table
  1143, // to do that to a column
  1227 // for want of a privilege
])
/** SQLSTATE classes of errors that lie in the data: out of range, and against a constraint. */
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
 * What an error of the MySQL driver means, as a class: by errno where the server sent one; without one no answer came.
 * Only for errors of the driver's own calls: an error of any other library may have a `code` too.
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

/** Whether a store answered, and what it said is why it is not available. */
export function isServerAnswer(error: unknown): boolean {
  if (!(error instanceof StoreUnavailable)) return false
  const { errno, sqlState } = (error.cause ?? {}) as { errno?: unknown; sqlState?: unknown }
  return isRedisAnswer(error.cause) || (errno !== undefined && sqlState !== undefined)
}

/** The error of a new connection that could not be made, told apart where it says nothing of those that are open. */
export function forNewConnection(error: unknown): unknown {
  if (!isUnavailable(error, 'mysql')) return error
  const { cause } = error as StoreUnavailable
  const isLimit = MYSQL_CONNECTION_LIMITS.has((cause as { errno?: number } | undefined)?.errno as number)
  return isLimit || !isServerAnswer(error) ? new NoNewConnection('mysql', cause) : error
}

/** An error that nobody foresaw, without the call that a driver hangs on it: a batch of orders, in each line of the log. */
function withoutCall(error: Error): Error {
  for (const name of ['command', 'sql', 'parameters']) Reflect.deleteProperty(error, name)
  return error
}

/**
 * Why a store that answers is of no use to the caller, for those who may not read the log: the store and the code of its
 * error, no address, no user and no query.
 */
export function reasonOf(error: StoreUnavailable): string {
  const { store, cause } = error
  if (error instanceof NoFreeConnection) return `all connections to ${store} are in use`
  const { errno } = (cause ?? {}) as { errno?: unknown }
  let code = isRedisAnswer(cause) ? /^[A-Z]+/.exec(cause.message)?.[0] : undefined
  if (store === 'redis' && error instanceof NotPermitted) code = 'NOPERM'
  if (store === 'mysql' && typeof errno === 'number' && errno > 0) code = `errno ${errno}`
  return `${store} refuses what is needed of it${code ? ` (${code})` : ', or gives no answer'}; the log has the details`
}
