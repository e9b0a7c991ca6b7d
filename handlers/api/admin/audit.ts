import { ADMIN_BODY_LIMIT, adminErrors, adminRoute, bodyErrors } from '../../../schema/http/admin.ts'
import { Acknowledged, AcknowledgeLoss, Audit } from '../../../schema/http/audit.ts'
import { ref } from '../../../schema/http/ref.ts'
import { problem, response } from '../../../schema/http/response.ts'
import type { App } from '../../../src/app.ts'
import { asProblem } from '../../../src/http/named-problem.ts'
import { acknowledgeLoss, readAudit } from '../../../src/orders/audit/audit.ts'

const audit = {
  ...adminRoute,
  operationId: 'getAudit',
  summary: 'Prove that no order is lost',
  description: 'Adds up the outcomes of all accepted orders. A `difference` other than 0 is a fault.',
  response: { 200: response(Audit, { description: 'The outcomes of all orders.' }), ...adminErrors }
} as const

const acknowledge = {
  ...adminRoute,
  operationId: 'acknowledgeLoss',
  summary: 'Acknowledge that Redis lost data',
  description:
    'The lost orders stay in the audit. Its flag `redis_lost_data` is false until Redis loses data again.',
  body: ref(AcknowledgeLoss),
  response: {
    200: response(Acknowledged, { description: 'What was acknowledged.' }),
    409: problem('There is no loss to acknowledge.'),
    ...adminErrors,
    ...bodyErrors
  }
} as const

/** GET /admin/audit returns the audit; POST /admin/audit/acknowledge acknowledges a loss. */
export default async function auditRoutes(app: App) {
  const { keys } = app
  const { redis, orders: mysql } = app.stores
  if (!app.servesAdmin) return

  app.get('/audit', { config: { scope: 'admin:read' }, schema: audit }, () => readAudit(redis, mysql, keys))

  app.post(
    '/audit/acknowledge',
    { config: { scope: 'admin', idempotencyKey: true }, schema: acknowledge, bodyLimit: ADMIN_BODY_LIMIT },
    async ({ body: { reason }, log, ip, id }) => {
      const lost = await acknowledgeLoss(redis, mysql, keys, { reason, client: ip, requestId: id })
      if (lost === undefined)
        throw asProblem('no-loss', app.httpErrors.conflict('There is no loss to acknowledge.'))
      log.warn({ lost, reason, client: ip }, 'a loss of data was acknowledged')
      return { lost }
    }
  )
}
