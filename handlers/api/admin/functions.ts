import { adminErrors, adminRoute, bodyErrors } from '../../../schema/http/admin.ts'
import { ReasonQuery } from '../../../schema/http/admin-action.ts'
import { Forgotten, FunctionParams } from '../../../schema/http/function.ts'
import { problem, response } from '../../../schema/http/response.ts'
import type { App } from '../../../src/app.ts'
import { asProblem } from '../../../src/http/named-problem.ts'

const forget = {
  ...adminRoute,
  operationId: 'forgetFunction',
  summary: 'Forget a function that no worker runs any more',
  description:
    'Redis no longer keeps events for it. Its retries become dead letters, which stay until they are discarded.',
  params: FunctionParams,
  querystring: ReasonQuery,
  response: {
    200: response(Forgotten, { description: 'What was removed.' }),
    404: problem('The function is not known, or has neither a group nor a retry.'),
    409: problem('A worker still runs it, or it belongs to the service.'),
    ...adminErrors,
    ...bodyErrors
  }
} as const

/** DELETE /admin/functions/:function forgets a function that no worker runs any more. */
export default async function functionRoutes(app: App) {
  if (!app.servesAdmin) return

  app.delete(
    '/functions/:function',
    { config: { scope: 'admin' }, schema: forget },
    async ({ params, log }) => {
      const forgotten = await app.functions.forget(params.function)
      if (!forgotten) {
        const text = `${params.function} is not known, or has neither a group nor a retry.`
        throw asProblem('function-not-found', app.httpErrors.notFound(text))
      }
      const { name, ...figures } = forgotten
      const body = { function: name, ...figures }
      log.warn(body, 'a function was forgotten')
      return body
    }
  )
}
