import { ADMIN_BODY_LIMIT, adminErrors, adminRoute, bodyErrors } from '../../../schema/http/admin.ts'
import {
  DeadLetter,
  DeadLetterPage,
  DeadLetterParams,
  Dealt,
  Discard,
  ListQuery,
  Redrive
} from '../../../schema/http/dead-letter.ts'
import { ref } from '../../../schema/http/ref.ts'
import { problem, response } from '../../../schema/http/response.ts'
import type { App } from '../../../src/app.ts'
import { toDeadLetterBody, toDealt } from '../../../src/http/dead-letter.ts'
import { asProblem } from '../../../src/http/named-problem.ts'

const list = {
  ...adminRoute,
  operationId: 'listDeadLetters',
  summary: 'List the dead letters of a function',
  description: 'The oldest dead letter is first.',
  querystring: ListQuery,
  response: { 200: response(DeadLetterPage, { description: 'A page of dead letters.' }), ...adminErrors }
} as const

const show = {
  ...adminRoute,
  operationId: 'getDeadLetter',
  summary: 'Read a dead letter',
  description: 'With the body of its message and the cause.',
  params: DeadLetterParams,
  response: {
    200: response(DeadLetter, { description: 'The dead letter.' }),
    404: problem('There is no such dead letter.'),
    ...adminErrors
  }
} as const

const redrive = {
  ...adminRoute,
  operationId: 'redriveDeadLetters',
  summary: 'Send dead letters back to their function',
  description:
    'Each message gets new attempts. The rate keeps them from crowding out new messages. Without `ids`, all dead letters are redriven that exist when the request begins.',
  body: ref(Redrive),
  response: {
    200: response(Dealt, { description: 'How many were sent back.' }),
    409: problem(
      'The message of a dead letter is not kept in full, or is too large. The others were sent back.'
    ),
    ...adminErrors,
    ...bodyErrors
  }
} as const

const discard = {
  ...adminRoute,
  operationId: 'discardDeadLetters',
  summary: 'Discard dead letters, with a reason',
  description: 'The reason is kept with them.',
  body: ref(Discard),
  response: {
    200: response(Dealt, { description: 'How many were discarded.' }),
    ...adminErrors,
    ...bodyErrors
  }
} as const

/** The default rate of a redrive, in dead letters a second. */
const DEFAULT_RATE = 100

/** /admin/dead-letters: lists, shows, redrives and discards dead letters. */
export default async function deadLetterRoutes(app: App) {
  const { deadLetters } = app.streams
  if (!app.servesAdmin) return

  app.get('/dead-letters', { config: { scope: 'admin:read' }, schema: list }, async ({ query }) => {
    const page = await deadLetters.list(query.function, query.after, query.limit)
    return { dead_letters: page.deadLetters.map(toDeadLetterBody), next: page.next }
  })

  app.get(
    '/dead-letters/:function/:id',
    { config: { scope: 'admin:read' }, schema: show },
    async ({ params }) => {
      const found = await deadLetters.show(params.function, params.id)
      if (found) return toDeadLetterBody(found)
      const text = `${params.function} has no dead letter ${params.id}.`
      throw asProblem('dead-letter-not-found', app.httpErrors.notFound(text))
    }
  )

  app.post(
    '/dead-letters/redrive',
    { config: { scope: 'admin', idempotencyKey: true }, schema: redrive, bodyLimit: ADMIN_BODY_LIMIT },
    async ({ body: { function: name, ids, rate = DEFAULT_RATE }, log, id }) => {
      const tally = await deadLetters.redrive(name, ids, rate, id)
      log.warn({ function: name, count: tally.count }, 'dead letters were redriven')
      return toDealt(tally)
    }
  )

  app.post(
    '/dead-letters/discard',
    { config: { scope: 'admin', idempotencyKey: true }, schema: discard, bodyLimit: ADMIN_BODY_LIMIT },
    async ({ body: { function: name, ids, reason }, log }) => {
      const tally = await deadLetters.discard(name, ids, reason)
      log.warn({ function: name, count: tally.count, reason }, 'dead letters were discarded')
      return toDealt(tally)
    }
  )
}
