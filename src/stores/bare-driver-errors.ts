import { fromMysql, fromRedis } from './driver-errors.ts'
import { isMysqlAnswer, isRedisAnswer } from './server-answer.ts'

/** The beginnings of the messages of errors that ioredis makes without a class. */
const IOREDIS_TEXTS = [
  "Stream isn't writeable",
  'Connection is closed.',
  'Command timed out',
  'Socket timeout.'
]

/** The names of errors that ioredis makes with a class. */
const IOREDIS_NAMES = new Set(['MaxRetriesPerRequestError', 'ClusterAllFailedError', 'InterruptError'])

/** The messages of errors of mysql2's pool, which have neither a code nor a class. */
const MYSQL_POOL_TEXTS = new Set(['Pool is closed.', 'No connections available.', 'Queue limit reached.'])

/**
 * Returns the class for an error that comes directly from ioredis or mysql2. The marks of the driver identify such an
 * error. Returns undefined for any other error. A `code` alone is not a mark, because fetch and the file system set it,
 * too.
 */
export function fromBareDriver(error: Error): Error | undefined {
  if (isRedisAnswer(error) || isIoredisFailure(error)) return fromRedis(error)
  return isMysqlFailure(error) ? fromMysql(error) : undefined
}

function isIoredisFailure({ name, message }: Error): boolean {
  if (name !== 'Error') return IOREDIS_NAMES.has(name)
  return typeof message === 'string' && IOREDIS_TEXTS.some(text => message.startsWith(text))
}

/** mysql2 sets `errno` and `sqlState` on an error of the server, and `fatal` on an error that closed the connection. */
function isMysqlFailure(error: Error): boolean {
  if (isMysqlAnswer(error)) return true
  const { fatal, code } = error as Error & Record<string, unknown>
  if (typeof code === 'string' && code.startsWith('PROTOCOL_')) return true
  return fatal === true || MYSQL_POOL_TEXTS.has(error.message)
}
