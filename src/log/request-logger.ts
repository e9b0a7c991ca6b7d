import type { FastifyBaseLogger } from 'fastify'

type Bindings = Parameters<FastifyBaseLogger['child']>[0]

const METHODS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent', 'child'] as const

class LazyLogger {
  readonly #make: () => FastifyBaseLogger
  #made: FastifyBaseLogger | undefined

  constructor(make: () => FastifyBaseLogger) {
    this.#make = make
  }

  get logger(): FastifyBaseLogger {
    this.#made ??= this.#make()
    return this.#made
  }

  get level(): string {
    return this.logger.level
  }

  set level(level: string) {
    this.logger.level = level
  }
}

for (const name of METHODS) {
  Object.defineProperty(LazyLogger.prototype, name, {
    value(this: LazyLogger, ...given: unknown[]) {
      return Reflect.apply(this.logger[name], this.logger, given)
    }
  })
}

/**
 * The logger of one request: a child with the request's id, made when something is logged through it. The line that each
 * request ends with goes past it, so most requests never need one.
 */
export function requestLogger(logger: FastifyBaseLogger, bindings: Bindings): FastifyBaseLogger {
  return new LazyLogger(() => logger.child(bindings)) as unknown as FastifyBaseLogger
}
