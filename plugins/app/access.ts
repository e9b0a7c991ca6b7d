import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import type { Scope } from '../../schema/http/key.ts'
import { NOBODY } from '../../src/auth/caller.ts'
import { InsufficientScope, ScopeMissing, Unauthorized } from '../../src/auth/errors.ts'
import { routeOf } from '../../src/http/request-context.ts'
import { describeAccess } from '../../src/http/route-access.ts'

/** Refuses a request whose caller lacks the scope of the route. Every route declares one in its `config`. */
async function access(app: FastifyInstance) {
  requireScopes(app)
  app.addHook('onRequest', (request, reply, done) => {
    const { scope } = routeOf(request).config
    const { find } = app.identify(request)
    if (scope === 'none') return done()
    if (scope === undefined) return done(new Unauthorized())
    if (!find) return done(refusal(request, reply, scope))
    find().then(caller => {
      request.caller = caller ?? NOBODY
      done(refusal(request, reply, scope))
    }, done)
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
    if (open) throw new ScopeMissing(String(open.method), open.url)
  })
}

/** Returns the reason to refuse a request; undefined when its caller has the scope. */
function refusal({ caller }: FastifyRequest, reply: FastifyReply, scope: Scope): Error | undefined {
  if (caller.scopes.includes(scope)) return undefined
  if (caller.id === undefined) {
    reply.header('www-authenticate', 'Bearer')
    return new Unauthorized()
  }
  reply.header('www-authenticate', `Bearer error="insufficient_scope", scope="${scope}"`)
  return new InsufficientScope(scope)
}

// After `rate-limit`, so that guesses are counted. After `not-found`, so that a request without a route needs no key.
export default fp(access, { name: 'access', dependencies: ['auth', 'rate-limit', 'not-found'] })
