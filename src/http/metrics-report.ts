import type { Metrics } from '../../schema/http/metrics.ts'
import { sum } from '../orders/money.ts'
import { ORDER_SERVICE_FUNCTION } from '../orders/service-function.ts'
import type { OrderStore } from '../orders/tables/order-store.ts'
import type { Totals } from '../orders/tables/totals.ts'
import { StoreUnavailable } from '../stores/errors.ts'
import type { RedisStore } from '../stores/redis/store.ts'
import type { Keys } from '../streams/keys.ts'
import { type QueueState, readQueue } from '../streams/operate/queue.ts'
import { redisStatus } from '../streams/operate/redis-status.ts'

/**
 * Reads the figures of this process and of the stores. The figures of an unavailable store are null. The cost does not
 * depend on the number of orders: totals are kept, not counted. `total_revenue` has the orders in `defaultCurrency` and those
 * without a currency.
 */
export async function readMetrics(
  redis: RedisStore,
  keys: Keys,
  store: OrderStore,
  defaultCurrency = ''
): Promise<Metrics> {
  const [stats, queue, totals] = await Promise.all([
    readStats(redis).catch(unlessUnavailable),
    readQueue(redis, keys, ORDER_SERVICE_FUNCTION).catch(unlessUnavailable),
    store.totals().catch(unlessUnavailable)
  ])
  const { rss, heapUsed } = process.memoryUsage()
  return {
    timestamp: new Date().toISOString(),
    uptime: process.uptime(),
    memory: { rss, heapUsed },
    services: {
      redis: {
        // Does not use the figures, because the Redis user may lack the right to read them.
        status: redisStatus(redis, keys),
        total_commands_processed: stats?.total_commands_processed ?? null,
        instantaneous_ops_per_sec: stats?.instantaneous_ops_per_sec ?? null
      },
      database: {
        status: totals ? 'connected' : 'disconnected',
        stats: orderStats(totals, queue, defaultCurrency)
      }
    },
    queue: {
      depth: queue?.depth ?? null,
      pending: queue?.pending ?? null,
      oldest_seconds: queue?.oldestSeconds ?? null
    }
  }
}

function orderStats(
  totals: Totals | null,
  queue: QueueState | null,
  defaultCurrency: string
): Metrics['services']['database']['stats'] {
  const processing = totals && queue ? totals.processing + queue.depth + queue.retrying : null
  return {
    total_orders:
      totals && processing !== null ? processing + totals.completed + totals.failed + totals.cancelled : null,
    completed_orders: totals?.completed ?? null,
    processing_orders: processing,
    failed_orders: totals?.failed ?? null,
    cancelled_orders: totals?.cancelled ?? null,
    // A double stores 15 decimal digits: a revenue of 99 billion with all four decimals.
    total_revenue: totals && Number(sum([totals.revenue, totals.revenueIn.get(defaultCurrency) ?? '0'])),
    revenue: totals && Object.fromEntries(totals.revenueIn)
  }
}

/** Reads figures of Redis with INFO, and adds up those of all masters. */
async function readStats(redis: RedisStore) {
  const infos = await Promise.all(redis.masters().map(({ run }) => run(client => client.info('stats'))))
  const figure = (name: string) =>
    infos.reduce((sum, info) => sum + Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0), 0)
  return {
    total_commands_processed: figure('total_commands_processed'),
    instantaneous_ops_per_sec: figure('instantaneous_ops_per_sec')
  }
}

function unlessUnavailable(error: unknown): null {
  if (error instanceof StoreUnavailable) return null
  throw error
}
