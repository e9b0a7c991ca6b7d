import type { Writable } from 'node:stream'
import type { FastifyBaseLogger } from 'fastify'
import { levels, pino, transport } from 'pino'
import type { Config } from '../../schema/config/env.ts'
import { isoNow } from '../async/clock.ts'
import { lazyLogger } from './lazy-logger.ts'
import { standardOutput } from './lines.ts'

/** The log of one process. */
export interface Log {
  logger: FastifyBaseLogger
  /** The fields of every line. */
  base: Record<string, unknown>
  /** Writes a rendered line of level info; undefined when the log level excludes it. */
  writeInfo: ((line: string) => void) | undefined
}

/**
 * Opens the log: JSON lines, or readable ones in development. The lines go to `output`, by default to standard output.
 */
export function openLog({ NODE_ENV, LOG_LEVEL, MODE }: Config, output: Writable | undefined): Log {
  const development = NODE_ENV === 'development'
  const level = LOG_LEVEL ?? (development ? 'debug' : 'info')
  const base = { mode: MODE, pid: process.pid }
  const stream = output ?? (development ? transport({ target: 'pino-pretty' }) : standardOutput())
  // The level `silent` has no number.
  const wantsInfo = (levels.values[level] ?? Number.POSITIVE_INFINITY) <= (levels.values.info as number)
  return {
    logger: lazyLogger(() => pino({ level, base, timestamp: () => `,"time":"${isoNow()}"` }, stream)),
    base,
    writeInfo: wantsInfo ? line => stream.write(line) : undefined
  }
}
