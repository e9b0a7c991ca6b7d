import type { FastifyBaseLogger } from 'fastify'

const METHODS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

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

  child(...args: Parameters<FastifyBaseLogger['child']>): LazyLogger {
    return new LazyLogger(() => this.logger.child(...args))
  }
}

for (const name of METHODS) {
  Object.defineProperty(LazyLogger.prototype, name, {
    value(this: LazyLogger, ...args: unknown[]) {
      return Reflect.apply(this.logger[name], this.logger, args)
    }
  })
}

/**
 * Returns a logger that `make` creates only when it logs something. Its children are lazy, too. Fastify makes a child
 * for each request, and most requests never use it, because the line at the end of a request does not need it.
 */
export function lazyLogger(make: () => FastifyBaseLogger): FastifyBaseLogger {
  return new LazyLogger(make) as unknown as FastifyBaseLogger
}
