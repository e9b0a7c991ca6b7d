import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import autoload from '@fastify/autoload'
import env from '@fastify/env'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import fastify from 'fastify'
import type { Config } from '../schema/config/env.ts'
import { envOptions } from '../schema/config/resolve.ts'
import { loadFunctions } from './boot/load-functions.ts'
import { acceptJsonBodies } from './http/body/json-body.ts'
import { refuseConnect, refuseUnreadable } from './http/connection/refuse-unreadable.ts'
import { refuseUrl } from './http/problem.ts'
import { requestId } from './http/request-context.ts'
import { RequestLog } from './http/request-log.ts'
import { buildSerializer } from './http/serialization.ts'
import { buildValidator } from './http/validation.ts'
import { openLog } from './telemetry/log.ts'

declare module 'fastify' {
  interface FastifyInstance {
    config: Config
  }
}

const ROOT = join(import.meta.dirname, '..')

/** The options of `buildApp`, besides the configuration. */
export interface AppOptions {
  /** The destination of the log; standard output by default. */
  logStream?: Writable
  /**
   * Whether to load the functions of the mode; true by default. A test of one function registers only that function.
   */
  functions?: boolean
}

/** Builds the service in one mode: the plugins, then the functions of that mode. The caller makes it listen. */
export async function buildApp(config: Config, options: AppOptions = {}) {
  const app = createServer(config, options.logStream)
  // Not awaited, because an await before the plugins adds a tenth to the CPU time of each request.
  app.register(env, { ...envOptions, data: config, confKey: 'config' })
  app.decorateRequest('knownRoute', null)
  app.decorateRequest('batch', null)
  await app.register(autoload, { dir: join(ROOT, 'plugins'), dirNameRoutePrefix: false })
  await loadFunctions(app, join(ROOT, 'handlers/common'))
  if (options.functions ?? true) await loadFunctions(app, join(ROOT, 'handlers', config.MODE))
  return app
}

/** The argument of a function: the Fastify instance, with schemas as types and what the plugins add. */
export type App = ReturnType<typeof createServer>

/** The longest pause between two checks for requests that take too long to arrive (ms). */
const TIMEOUT_CHECK = 1000

function createServer(config: Config, logStream: Writable | undefined) {
  const log = openLog(config, logStream)
  const app = fastify({
    // This is an instance instead of a childLoggerFactory, because Fastify would check each logger that the factory
    // makes.
    loggerInstance: log.logger,
    logController: new RequestLog({
      requestIdLogLabel: 'request_id',
      base: log.base,
      write: log.writeInfo
    }),
    genReqId: requestId,
    trustProxy: config.TRUST_PROXY === '' ? false : config.TRUST_PROXY,
    bodyLimit: config.BODY_LIMIT_BYTES,
    requestTimeout: config.REQUEST_TIMEOUT_MS,
    // By default Node.js checks every 30 seconds, and allows 60 seconds for the head.
    http: {
      // The plugin `security` refuses a request without a host, and names the reason.
      requireHostHeader: false,
      headersTimeout: config.REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: Math.min(TIMEOUT_CHECK, config.REQUEST_TIMEOUT_MS)
    },
    // During a stop, the service still answers on open connections.
    return503OnClosing: false,
    // A parameter may be as long as the head. The schema then refuses a long parameter, and names the reason.
    routerOptions: { maxParamLength: 16_384 },
    frameworkErrors: refuseUrl,
    clientErrorHandler: refuseUnreadable,
    schemaController: { compilersFactory: { buildValidator, buildSerializer } }
  }).withTypeProvider<TypeBoxTypeProvider>()
  // Node.js refuses an unknown expectation without a body; a server may ignore it (RFC 9110, section 10.1.1).
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))
  app.server.on('connect', (request: IncomingMessage, socket: Socket) =>
    refuseConnect(app.log, request, socket)
  )
  // A client may close its side after its last request, and still wait for the answers.
  Object.assign(app.server, { httpAllowHalfOpen: true })
  acceptJsonBodies(app)
  return app
}
