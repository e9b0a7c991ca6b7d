import { adminErrors, adminRoute, bodyErrors } from '../../../schema/http/admin.ts'
import { ReasonQuery } from '../../../schema/http/admin-action.ts'
import { RedisRelease } from '../../../schema/http/redis-release.ts'
import { problem, response } from '../../../schema/http/response.ts'
import type { App } from '../../../src/app.ts'
import { releaseRedis } from '../../../src/orders/audit/release.ts'

const release = {
  ...adminRoute,
  operationId: 'releaseRedis',
  summary: 'Release the keys in Redis',
  description:
    'Allows a start with another KEY_PREFIX or REDIS_CLUSTER. Running processes accept orders in MySQL from then on. ' +
    'Takes several seconds.',
  querystring: ReasonQuery,
  response: {
    200: response(RedisRelease, { description: 'What was released.' }),
    409: problem('The keys cannot be released now.'),
    ...adminErrors,
    ...bodyErrors
  }
} as const

/** POST /admin/redis/release ends the use of the keys in Redis. */
export default async function redisRoutes(app: App) {
  const { keys, config } = app
  const { redis, orders: mysql } = app.stores
  if (!app.servesAdmin) return

  app.post(
    '/redis/release',
    { config: { scope: 'admin', idempotencyKey: true }, schema: release },
    async ({ log }) => {
      const released = await releaseRedis({ redis, mysql, keys, timeout: config.STORE_TIMEOUT_MS })
      log.warn(released, 'the keys in Redis were released')
      return released
    }
  )
}
