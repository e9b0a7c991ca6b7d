import type { Writable } from 'node:stream'
import { levels, pino, transport } from 'pino'
import type { Config } from '../../schema/config/env.ts'
import { isoNow } from '../async/clock.ts'
import { lazyLogger } from './lazy-logger.ts'
import { standardOutput } from './lines.ts'
import { RequestLog } from './request-log.ts'

/** How Fastify logs: JSON lines, or readable ones in development. They go to `given`, to standard output by default. */
export function logOptions({ NODE_ENV, LOG_LEVEL, MODE }: Config, given: Writable | undefined) {
  const development = NODE_ENV === 'development'
  const level = LOG_LEVEL ?? (development ? 'debug' : 'info')
  const base = { mode: MODE, pid: process.pid }
  const stream = given ?? (development ? transport({ target: 'pino-pretty' }) : standardOutput())
  // No number stands for `silent`.
  const wantsInfo = (levels.values[level] ?? Number.POSITIVE_INFINITY) <= (levels.values.info as number)
  return {
    // As an instance and not as options with a factory of children, whose children Fastify would check one by one.
    loggerInstance: lazyLogger(() => pino({ level, base, timestamp: () => `,"time":"${isoNow()}"` }, stream)),
    logController: new RequestLog({
      requestIdLogLabel: 'request_id',
      base,
      write: wantsInfo ? line => stream.write(line) : undefined
    })
  }
}
