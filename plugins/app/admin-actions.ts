import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyRequest, onSendHookHandler, preHandlerHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import type { AdminAction } from '../../schema/http/admin-action.ts'
import { type ActionLog, createActionLog } from '../../src/admin/action-log.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The log of what operators change. */
    adminActions: Pick<ActionLog, 'list'>
  }
}

/** How often recorded actions are moved from Redis to MySQL (ms). */
const MOVE_EVERY = 5000

/** The longest texts that the columns can store. */
const MAX_ACTION = 200
const MAX_REASON = 500

/**
 * Records each request with the scope `admin` before its handler runs. Records it again with the status of the answer. A
 * request that `idempotency` answers with an earlier answer is not recorded, because it changes nothing.
 */
async function adminActions(app: FastifyInstance) {
  const log = createActionLog(app.stores.orders, app.stores.redis, app.keys)
  app.decorate('adminActions', { list: log.list })
  const begun = new WeakMap<FastifyRequest, AdminAction>()

  const begin: preHandlerHookHandler = async request => {
    const action = actionOf(request)
    begun.set(request, action)
    await log.record(action)
  }
  const end: onSendHookHandler = async (request, reply, payload) => {
    const action = begun.get(request)
    if (!action) return payload
    await log.record({ ...action, status: reply.statusCode }).catch(error => {
      request.log.error({ err: error, action }, 'the outcome of an admin action could not be recorded')
    })
    return payload
  }
  app.addHook('onRoute', route => {
    if (route.config?.scope !== 'admin') return
    route.preHandler = [...[route.preHandler ?? []].flat(), begin]
    route.onSend = [...[route.onSend ?? []].flat(), end]
  })
  app.repeat({ name: 'admin-actions', every: MOVE_EVERY, run: log.moveQueued })
}

/** Describes a request: its operation, its parameters, and the reason that it names. */
function actionOf(request: FastifyRequest): AdminAction {
  const { schema, method, url } = request.routeOptions
  const fields = { ...(request.params as object), ...(request.query as object), ...(request.body as object) }
  const { reason, ...details } = fields as { reason?: unknown }
  const operation = (schema as { operationId?: string } | undefined)?.operationId
  return {
    id: randomUUID(),
    time: new Date().toISOString(),
    actor: request.caller.id ?? '',
    client: request.ip ?? '',
    request_id: request.id,
    action: (operation ?? `${method} ${url}`).slice(0, MAX_ACTION),
    details,
    reason: typeof reason === 'string' ? reason.slice(0, MAX_REASON) : null,
    status: null
  }
}

export default fp(adminActions, {
  name: 'admin-actions',
  dependencies: ['stores', 'background', 'auth', 'idempotency']
})
