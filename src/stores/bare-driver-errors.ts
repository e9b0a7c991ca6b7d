import { fromMysql, fromRedis } from './driver-errors.ts'
import { isRedisAnswer } from './server-answer.ts'

/** How errors begin that ioredis makes itself, and that have no class of their own. */
const IOREDIS_TEXTS = [
  "Stream isn't writeable",
  'Connection is closed.',
  'Command timed out',
  'Socket timeout.'
]

/** Errors of ioredis that have a name of their own. */
const IOREDIS_NAMES = new Set([
  'MaxRetriesPerRequestError',
  'ClusterAllFailedError',
  'AbortError',
  'InterruptError'
])

/** Errors of the pool of mysql2, which have nothing but a text. */
const MYSQL_POOL_TEXTS = new Set(['Pool is closed.', 'No connections available.', 'Queue limit reached.'])

/**
 * The class of an error that the bare ioredis or mysql2 has thrown, told by the driver's own marks. Undefined for any
 * other error: a `code` alone is not a mark, since fetch and the file system set it, too.
 */
export function fromBareDriver(error: Error): Error | undefined {
  if (isRedisAnswer(error) || isIoredisFailure(error)) return fromRedis(error)
  return isMysqlFailure(error) ? fromMysql(error) : undefined
}

function isIoredisFailure({ name, message }: Error): boolean {
  if (name !== 'Error') return IOREDIS_NAMES.has(name) && name !== 'AbortError'
  return typeof message === 'string' && IOREDIS_TEXTS.some(text => message.startsWith(text))
}

/** mysql2 sets `errno` and `sqlState` on what the server sent, and `fatal` on what ended the connection. */
function isMysqlFailure(error: Error): boolean {
  const { errno, sqlState, fatal, code } = error as Error & Record<string, unknown>
  if (typeof errno === 'number' && typeof sqlState === 'string') return true
  if (typeof code === 'string' && code.startsWith('PROTOCOL_')) return true
  return fatal === true || MYSQL_POOL_TEXTS.has(error.message)
}
