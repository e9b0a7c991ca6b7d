import { adminErrors, adminRoute } from '../../../schema/http/admin.ts'
import { AdminActionPage, AdminActionQuery } from '../../../schema/http/admin-action.ts'
import { response } from '../../../schema/http/response.ts'
import type { App } from '../../../src/app.ts'

const list = {
  ...adminRoute,
  operationId: 'listAdminActions',
  summary: 'List what operators changed',
  description: 'The newest action is first. Actions that were made while MySQL was unavailable come later.',
  querystring: AdminActionQuery,
  response: { 200: response(AdminActionPage, { description: 'A page of actions.' }), ...adminErrors }
} as const

/** GET /admin/actions: lists what operators changed. */
export default async function actionRoutes(app: App) {
  if (!app.servesAdmin) return
  app.get('/actions', { config: { scope: 'admin:read' }, schema: list }, async ({ query }) => {
    const { actions, next } = await app.adminActions.list(Number(query.after), query.limit)
    return { actions, next: next === 0 ? '' : String(next) }
  })
}
