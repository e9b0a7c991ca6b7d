import type { FastifyInstance, onRequestAsyncHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import { createTokenCheck } from '../../src/http/admin-token.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * The `onRequest` hook of /admin routes. It refuses a request without the ADMIN_TOKEN. Undefined when none is set: then
     * there are no such routes.
     */
    requireAdminToken: onRequestAsyncHookHandler | undefined
  }
}

/** `app.requireAdminToken`: the guard of the /admin routes. */
async function admin(app: FastifyInstance) {
  const { ADMIN_TOKEN } = app.config
  const isValid = ADMIN_TOKEN === undefined ? undefined : createTokenCheck(ADMIN_TOKEN)
  const hook: onRequestAsyncHookHandler = async ({ headers }, reply) => {
    if (isValid?.(headers.authorization)) return
    reply.header('www-authenticate', 'Bearer')
    throw app.httpErrors.unauthorized('Send the ADMIN_TOKEN as bearer token.')
  }
  app.decorate('requireAdminToken', isValid && hook)
}

export default fp(admin, { name: 'admin', dependencies: ['@fastify/sensible'] })
