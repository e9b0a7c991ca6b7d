import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { type Authenticate, createAuthenticate, servesAdmin } from '../../src/auth/authenticate.ts'
import { type Caller, NOBODY } from '../../src/auth/caller.ts'
import { NoKeySource } from '../../src/auth/errors.ts'
import { createJwtCheck } from '../../src/auth/jwt.ts'
import { createKeyAdmin, type KeyAdmin } from '../../src/auth/key-admin.ts'
import { createKeyMirror, type KeyMirror } from '../../src/auth/key-mirror.ts'
import { createKeyTable, type KeyTable } from '../../src/auth/key-table.ts'
import { createKnownKeys } from '../../src/auth/known-keys.ts'
import { createReconcile } from '../../src/auth/reconcile.ts'
import { routeOf } from '../../src/http/request-context.ts'
import { StoreUnavailable } from '../../src/stores/errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The operations on API keys. */
    apiKeys: KeyAdmin
    /** Whether this process serves routes under /admin. */
    servesAdmin: boolean
    /**
     * Returns the caller of a request. When the memory of this process does not have the caller, the result has the
     * method `find`.
     */
    identify: (request: FastifyRequest) => Caller
  }
  interface FastifyRequest {
    /** The caller of this request. A hook before `access` must use `app.identify`. */
    caller: Caller
  }
}

/** How often the keys in memory are read again, the mirror is checked, and uses are recorded (ms). */
const REFRESH_EVERY = 3000
const COPY_EVERY = 15_000
const RECORD_EVERY = 5000

/** How long the start waits for MySQL, which may be creating the tables (ms). */
const MYSQL_WAIT = 3000

/** Finds out who sends each request: the owner of an API key, of a JWT or of the ADMIN_TOKEN. */
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
  app.decorate('identify', createIdentify(createAuthenticate(config, known, createJwtCheck(config))))

  const repeat = (name: string, every: number, run: () => Promise<void>) =>
    app.repeat({ name, every, run: () => run().then(() => false) })
  repeat('api-keys', REFRESH_EVERY, () => known.refresh())
  repeat('api-key-use', RECORD_EVERY, async () => {
    const used = known.takeUsed()
    if (used.length > 0) await table.recordUse(used, new Date().toISOString())
  })
  if (config.MODE === 'worker') return
  repeat('api-key-mirror', COPY_EVERY, admin.copyAll)
  if (config.AUTH === 'off' || config.ADMIN_TOKEN !== undefined || config.JWKS_URL !== undefined) return
  app.addHook('onReady', async () => {
    await mysqlUp(app)
    await requireKey(app, table, mirror)
  })
}

/** Creates `app.identify`. It finds the caller once for each request. */
function createIdentify(authenticate: Authenticate): (request: FastifyRequest) => Caller {
  return request => {
    if (request.caller !== null) return request.caller
    const { scope } = routeOf(request).config
    const open = scope === undefined || scope === 'none'
    request.caller = open ? NOBODY : authenticate(request.headers.authorization, request.raw.socket)
    return request.caller
  }
}

async function mysqlUp({ stores }: FastifyInstance): Promise<void> {
  await stores.orders.availability.untilUp(AbortSignal.timeout(MYSQL_WAIT))
}

/** @throws {NoKeySource} when an available store has no key. */
async function requireKey(app: FastifyInstance, table: KeyTable, mirror: KeyMirror): Promise<void> {
  try {
    if (!(await table.any())) throw new NoKeySource()
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error
    const mirrored = await mirror.any().catch(() => false)
    if (!mirrored) app.log.warn({ err: error }, 'no API key is known yet: MySQL is unavailable')
  }
}

export default fp(auth, { name: 'auth', dependencies: ['stores', 'background', 'cors'] })
