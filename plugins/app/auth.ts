import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import type { Scope } from '../../schema/http/key.ts'
import { createAuthenticate, servesAdmin } from '../../src/auth/authenticate.ts'
import { type Caller, NOBODY } from '../../src/auth/caller.ts'
import { InsufficientScope, NoKeySource, Unauthorized } from '../../src/auth/errors.ts'
import { createKeyAdmin, type KeyAdmin } from '../../src/auth/key-admin.ts'
import { createKeyMirror, type KeyMirror } from '../../src/auth/key-mirror.ts'
import { createKeyTable, type KeyTable } from '../../src/auth/key-table.ts'
import { createKnownKeys } from '../../src/auth/known-keys.ts'
import { createReconcile } from '../../src/auth/reconcile.ts'
import { routeOf } from '../../src/http/request-context.ts'
import { describeAccess } from '../../src/http/route-access.ts'
import { StoreUnavailable } from '../../src/stores/errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** What operators do with API keys. */
    apiKeys: KeyAdmin
    /** Whether this process serves routes under /admin. */
    servesAdmin: boolean
  }
  interface FastifyRequest {
    /** Who sends this request. */
    caller: Caller
  }
}

/** How often the keys in memory are read again, the mirror is checked, and uses are recorded (ms). */
const REFRESH_EVERY = 3000
const COPY_EVERY = 15_000
const RECORD_EVERY = 5000

/** How long the start waits for a MySQL that may be creating the tables (ms). */
const MYSQL_WAIT = 3000

/** Checks who sends each request, and whether the caller has the scope that the route declares. */
async function auth(app: FastifyInstance) {
  const { config, keys } = app
  const { redis, orders: mysql } = app.stores
  const table = createKeyTable(mysql)
  const mirror = createKeyMirror(redis, keys)
  const known = createKnownKeys(createReconcile(table, mirror))
  const admin = createKeyAdmin(table, mirror, known)
  app.decorate('apiKeys', admin)
  app.decorate('servesAdmin', servesAdmin(config))
  app.decorateRequest('caller', null as never)
  requireScopes(app)
  checkCallers(app, createAuthenticate(config, known))

  const repeat = (name: string, every: number, run: () => Promise<void>) =>
    app.repeat({ name, every, run: () => run().then(() => false) })
  repeat('api-keys', REFRESH_EVERY, () => known.refresh())
  repeat('api-key-use', RECORD_EVERY, async () => {
    const used = known.takeUsed()
    if (used.length > 0) await table.recordUse(used, new Date().toISOString())
  })
  if (config.MODE === 'worker') return
  repeat('api-key-mirror', COPY_EVERY, admin.copyAll)
  if (config.AUTH === 'off' || config.ADMIN_TOKEN !== undefined) return
  app.addHook('onReady', async () => {
    await mysqlUp(app)
    await requireKey(app, table, mirror)
  })
}

/** Fails the start for a route that declares no scope, and describes the scope of the others. */
function requireScopes(app: FastifyInstance): void {
  const routes: RouteOptions[] = []
  app.addHook('onRoute', route => {
    routes.push(route)
    describeAccess(route, app.config.AUTH === 'off')
  })
  app.addHook('onReady', async () => {
    const open = routes.find(({ config }) => config?.scope === undefined)
    if (open)
      throw new Error(
        `The route ${open.method} ${open.url} declares no scope: add config: { scope: 'orders:read' }, or { scope: 'none' } for a route that is open to all.`
      )
  })
}

function checkCallers(app: FastifyInstance, authenticate: ReturnType<typeof createAuthenticate>): void {
  app.addHook('onRequest', (request, reply, done) => {
    const { scope } = routeOf(request).config
    if (scope === 'none') {
      request.caller = NOBODY
      return done()
    }
    if (scope === undefined) return done(new Unauthorized())
    const found = authenticate(request.headers.authorization)
    if (!(found instanceof Promise)) return done(admit(request, reply, found, scope))
    found.then(caller => done(admit(request, reply, caller, scope)), done)
  })
}

/** Sets the caller of a request. Returns the reason to refuse it. */
function admit(
  request: FastifyRequest,
  reply: FastifyReply,
  caller: Caller | undefined,
  scope: Scope
): Error | undefined {
  request.caller = caller ?? NOBODY
  if (request.caller.scopes.includes(scope)) return undefined
  if (caller?.keyId === undefined) {
    reply.header('www-authenticate', 'Bearer')
    return new Unauthorized()
  }
  reply.header('www-authenticate', `Bearer error="insufficient_scope", scope="${scope}"`)
  return new InsufficientScope(scope)
}

async function mysqlUp({ stores }: FastifyInstance): Promise<void> {
  await stores.orders.availability.untilUp(AbortSignal.timeout(MYSQL_WAIT))
}

/** @throws {NoKeySource} when a store that answers has no key. */
async function requireKey(app: FastifyInstance, table: KeyTable, mirror: KeyMirror): Promise<void> {
  try {
    if (!(await table.any())) throw new NoKeySource()
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error
    const mirrored = await mirror.any().catch(() => false)
    if (!mirrored) app.log.warn({ err: error }, 'no API key is known yet: MySQL is unavailable')
  }
}

// After `not-found`: a request without a route needs no key.
export default fp(auth, { name: 'auth', dependencies: ['stores', 'background', 'not-found'] })
