import type {
  FastifyInstance,
  FastifyRequest,
  onSendHookHandler,
  preHandlerHookHandler,
  preValidationHookHandler,
  RouteOptions
} from 'fastify'
import fp from 'fastify-plugin'
import { sendReplay, toStoredAnswer } from '../../src/http/idempotency/answer.ts'
import { describeIdempotency } from '../../src/http/idempotency/describe.ts'
import { readIdempotencyKey } from '../../src/http/idempotency/read-key.ts'
import { routeOf } from '../../src/http/request-context.ts'
import { fingerprintOf } from '../../src/idempotency/fingerprint.ts'
import {
  type Attempt,
  createIdempotentRequests,
  type IdempotentRequests
} from '../../src/idempotency/idempotent-requests.ts'

/** How often the leases of requests in progress are renewed, and expired keys are deleted (ms). */
const RENEW_EVERY = 15_000
const DELETE_EVERY = 60_000

/** Runs a request with an Idempotency-Key once, and repeats its answer, on routes that have this setting. */
async function idempotency(app: FastifyInstance) {
  if (app.config.MODE === 'worker') return
  const requests = createIdempotentRequests(app.stores.orders)
  const hooks = createHooks(requests)
  app.addHook('onRoute', route => {
    if (route.config?.idempotencyKey === undefined) return
    describeIdempotency(route)
    addHooks(route, hooks)
  })
  app.repeat({
    name: 'idempotency-leases',
    every: RENEW_EVERY,
    run: async () => {
      await requests.renew()
      return false
    }
  })
  app.repeat({ name: 'idempotency-keys', every: DELETE_EVERY, run: requests.deleteExpired })
}

interface Hooks {
  readKey: preValidationHookHandler
  begin: preHandlerHookHandler
  end: onSendHookHandler
}

function addHooks(route: RouteOptions, { readKey, begin, end }: Hooks): void {
  route.preValidation = [readKey, ...[route.preValidation ?? []].flat()]
  route.preHandler = [...[route.preHandler ?? []].flat(), begin]
  route.onSend = [...[route.onSend ?? []].flat(), end]
}

function createHooks(requests: IdempotentRequests): Hooks {
  const keys = new WeakMap<FastifyRequest, string>()
  const begun = new WeakMap<FastifyRequest, Attempt>()
  return {
    readKey: async request => {
      const key = readIdempotencyKey(request.headers['idempotency-key'])
      if (key !== undefined) keys.set(request, key)
    },
    begin: async (request, reply) => {
      const key = keys.get(request)
      if (key === undefined) return
      const { tenant, id: caller } = request.caller
      const result = await requests.begin({ tenant, caller, key, fingerprint: fingerprint(request) })
      if ('answer' in result) return sendReplay(reply, result.answer)
      begun.set(request, result.attempt)
    },
    end: async (request, reply, payload) => {
      const attempt = begun.get(request)
      if (!attempt) return payload
      // An error after this hook is a second answer. The first one stays.
      begun.delete(request)
      try {
        await endAttempt(attempt, request, reply, payload)
      } catch (error) {
        request.log.error({ err: error }, 'the answer of an idempotent request could not be stored yet')
      }
      return payload
    }
  }
}

/** Stores the answer of a request. After a failure of the service, the same request may run again. */
async function endAttempt(
  attempt: Attempt,
  request: FastifyRequest,
  reply: Parameters<typeof toStoredAnswer>[0],
  payload: unknown
): Promise<void> {
  const setting = routeOf(request).config.idempotencyKey
  const without = typeof setting === 'object' ? setting.without : []
  const answer = reply.statusCode < 500 ? toStoredAnswer(reply, payload, without) : undefined
  if (answer) return attempt.finish(answer)
  if (reply.statusCode < 500)
    request.log.error('the answer of an idempotent request is of a form that cannot be stored')
  return attempt.giveUp()
}

function fingerprint(request: FastifyRequest): string {
  const { method, url } = routeOf(request)
  const { params, query, body } = request
  return fingerprintOf({ method, url, params, query, body })
}

// Before `admin-actions`, so that the log has an action once, and not its replays.
export default fp(idempotency, { name: 'idempotency', dependencies: ['stores', 'background', 'auth'] })
