import { createHash, timingSafeEqual } from 'node:crypto'
import { Forgotten, FunctionParams } from '../../schema/config/function.ts'
import { Acknowledged, AcknowledgeLoss, Audit } from '../../schema/http/audit.ts'
import {
  DeadLetter,
  DeadLetterPage,
  Dealt,
  Discard,
  LetterParams,
  ListQuery,
  Redrive
} from '../../schema/http/dead-letter.ts'
import { ref } from '../../schema/http/ref.ts'
import { anyRoute, problem, response, retryable } from '../../schema/http/response.ts'
import type { App } from '../../src/app.ts'
import { acknowledgeLoss, readAudit } from '../../src/orders/audit/audit.ts'
import { forgetFunction } from '../../src/streams/operate/forget.ts'

const common = { tags: ['admin'], security: [{ bearer: [] }] }
const errors = {
  401: problem('The bearer token is missing or wrong.'),
  429: retryable('Too many requests.'),
  ...anyRoute,
  503: retryable('A store that is needed is away; try again.')
}

const bodyErrors = {
  413: problem('The body is too large.'),
  415: problem('The body is not JSON.')
}

const schemas = {
  audit: {
    ...common,
    operationId: 'getAudit',
    summary: 'Proof that nothing is lost',
    response: { 200: response(Audit, { description: 'What became of every order.' }), ...errors }
  },
  acknowledge: {
    ...common,
    operationId: 'acknowledgeLoss',
    summary: 'Acknowledge that Redis has lost data',
    description:
      'The lost orders stay in the audit. Its flag `redis_lost_data` is false until Redis loses data again.',
    body: ref(AcknowledgeLoss),
    response: {
      200: response(Acknowledged, { description: 'What was acknowledged.' }),
      409: problem('There is no loss to acknowledge.'),
      ...errors,
      ...bodyErrors
    }
  },
  list: {
    ...common,
    operationId: 'listDeadLetters',
    summary: 'Messages that a function has given up',
    querystring: ListQuery,
    response: { 200: response(DeadLetterPage, { description: 'A page of them.' }), ...errors }
  },
  show: {
    ...common,
    operationId: 'getDeadLetter',
    summary: 'One dead letter',
    params: LetterParams,
    response: {
      200: response(DeadLetter, { description: 'The letter.' }),
      404: problem('There is no such letter.'),
      ...errors
    }
  },
  redrive: {
    ...common,
    operationId: 'redriveDeadLetters',
    summary: 'Send dead letters back to their function',
    description:
      'Their attempts are counted anew. They go at a rate, so that they do not crowd out new messages. Without `ids` those go that are there when it begins.',
    body: ref(Redrive),
    response: {
      200: response(Dealt, { description: 'How many were sent back.' }),
      409: problem('The whole message of a letter is not kept, or is too large; the others were sent back.'),
      ...errors,
      ...bodyErrors
    }
  },
  discard: {
    ...common,
    operationId: 'discardDeadLetters',
    summary: 'Discard dead letters, with a reason',
    body: ref(Discard),
    response: { 200: response(Dealt, { description: 'How many were discarded.' }), ...errors, ...bodyErrors }
  },
  forget: {
    ...common,
    operationId: 'forgetFunction',
    summary: 'End a function that is gone',
    description:
      'Events are no longer kept for it, and its retries become dead letters, which stay until they are discarded.',
    params: FunctionParams,
    response: {
      200: response(Forgotten, { description: 'What was ended.' }),
      404: problem('There is nothing of such a function.'),
      409: problem('A worker still runs it, or it is process-orders.'),
      ...errors,
      ...bodyErrors
    }
  }
} as const

/** As many ids as a body may name (bytes). */
const BODY_LIMIT = 65_536

/** Letters a second that are redriven, unless the request says otherwise. */
const DEFAULT_RATE = 100

/** /admin/*: audit, dead letters and functions, for operators. Without ADMIN_TOKEN these routes do not exist. */
export default async function admin(app: App) {
  const { keys, config, streams, processes } = app
  const { redis, orders: mysql } = app.stores
  if (config.ADMIN_TOKEN === undefined) return
  const isToken = createTokenCheck(config.ADMIN_TOKEN)
  app.addHook('onRequest', async ({ headers }, reply) => {
    const [, token = ''] = /^Bearer +(.+)$/i.exec(headers.authorization ?? '') ?? []
    if (isToken(token)) return
    reply.header('www-authenticate', 'Bearer')
    throw Object.assign(new Error('Send the ADMIN_TOKEN as bearer token.'), { statusCode: 401 })
  })

  app.get('/admin/audit', { schema: schemas.audit }, () => readAudit(redis, mysql, keys))

  app.post(
    '/admin/audit/acknowledge',
    { schema: schemas.acknowledge, bodyLimit: BODY_LIMIT },
    async ({ body: { reason }, log, ip, id }) => {
      const lost = await acknowledgeLoss(redis, mysql, keys, { reason, client: ip, requestId: id })
      if (lost === undefined)
        throw Object.assign(new Error('There is no loss to acknowledge.'), { statusCode: 409 })
      log.warn({ lost, reason, client: ip }, 'a loss of data was acknowledged')
      return { lost }
    }
  )

  app.get('/admin/dead-letters', { schema: schemas.list }, async ({ query }) => {
    const { letters, next } = await streams.deadLetters.list(query.function, query.after, query.limit)
    return { dead_letters: letters, next }
  })

  app.get('/admin/dead-letters/:function/:id', { schema: schemas.show }, async ({ params }) => {
    const letter = await streams.deadLetters.show(params.function, params.id)
    if (letter) return letter
    throw Object.assign(new Error(`${params.function} has no dead letter ${params.id}.`), { statusCode: 404 })
  })

  app.post(
    '/admin/dead-letters/redrive',
    { schema: schemas.redrive, bodyLimit: BODY_LIMIT },
    async ({ body, log }) => {
      const { ids, rate = DEFAULT_RATE } = body
      let missing: string[] = []
      const count = await streams.deadLetters.redrive(body.function, ids, rate, found => {
        missing = found
      })
      log.warn({ function: body.function, count }, 'dead letters were redriven')
      return dealt(count, missing)
    }
  )

  app.post(
    '/admin/dead-letters/discard',
    { schema: schemas.discard, bodyLimit: BODY_LIMIT },
    async ({ body, log }) => {
      let missing: string[] = []
      const count = await streams.deadLetters.discard(body.function, body.ids, body.reason, found => {
        missing = found
      })
      log.warn({ function: body.function, count, reason: body.reason }, 'dead letters were discarded')
      return dealt(count, missing)
    }
  )

  app.delete('/admin/functions/:function', { schema: schemas.forget }, async ({ params, log }) => {
    const options = { redis, keys, starts: streams.starts, lease: processes.lease(params.function) }
    const forgotten = await forgetFunction(options, params.function)
    if (!forgotten) {
      const text = `${params.function} is not known, or has neither a group nor a retry.`
      throw Object.assign(new Error(text), { statusCode: 404 })
    }
    log.warn(forgotten, 'a function was forgotten')
    return forgotten
  })
}

/** Most letters that an answer names. */
const MOST_NAMED = 100

/** An answer names what was not found, unless that is a long list. */
function dealt(count: number, missing: string[]) {
  return missing.length > 0 && missing.length <= MOST_NAMED ? { count, missing } : { count }
}

/** Compares in a time that tells nothing of where two tokens differ. */
function createTokenCheck(token: string): (given: string) => boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  const expected = digest(token)
  return given => timingSafeEqual(digest(given), expected)
}
