import { join } from 'node:path'
import type { Writable } from 'node:stream'
import autoload from '@fastify/autoload'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import fastify from 'fastify'
import type { Config } from '../schema/env.ts'
import { logOptions } from './log/log.ts'
import { refuseUnreadable, sendProblem } from './problem.ts'
import { requestId } from './request-context.ts'
import { buildValidator } from './validation.ts'

declare module 'fastify' {
  interface FastifyInstance {
    config: Config
  }
}

const ROOT = join(import.meta.dirname, '..')

export interface AppOptions {
  /** Where the log goes; standard output by default. */
  logStream?: Writable
}

/** The service in one mode: the plugins, then the functions of that mode. It is ready to listen, and does not yet. */
export async function buildApp(config: Config, options: AppOptions = {}) {
  const app = createServer(config, options.logStream)
  app.decorate('config', config)
  app.decorateRequest('knownRoute', null)
  await app.register(autoload, { dir: join(ROOT, 'plugins') })
  await app.register(autoload, { dir: join(ROOT, 'handlers/common') })
  await app.register(autoload, { dir: join(ROOT, 'handlers', config.MODE) })
  return app
}

/** What a function gets: the Fastify instance, with schemas as types and all that the plugins add. */
export type App = ReturnType<typeof createServer>

function createServer(config: Config, logStream: Writable | undefined) {
  return fastify({
    ...logOptions(config, logStream),
    genReqId: requestId,
    trustProxy: config.TRUST_PROXY === '' ? false : config.TRUST_PROXY,
    bodyLimit: config.BODY_LIMIT_BYTES,
    requestTimeout: config.REQUEST_TIMEOUT_MS,
    routerOptions: { maxParamLength: 500 },
    frameworkErrors: sendProblem,
    clientErrorHandler: refuseUnreadable,
    schemaController: { compilersFactory: { buildValidator } }
  }).withTypeProvider<TypeBoxTypeProvider>()
}
