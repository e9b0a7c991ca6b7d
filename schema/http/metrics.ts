import { type Static, Type } from 'typebox'
import { RedisConnection } from './health.ts'

const Nullable = <T extends ReturnType<typeof Type.Number> | ReturnType<typeof Type.Integer>>(schema: T) =>
  Type.Union([schema, Type.Null()])
const Connection = Type.Enum(['connected', 'disconnected'])

/** Body of `GET /metrics` in JSON. The figures of an unavailable store are null. */
export const Metrics = Type.Object(
  {
    timestamp: Type.String({ format: 'date-time' }),
    uptime: Type.Number({ description: 'Seconds since this process started.' }),
    memory: Type.Object({ rss: Type.Integer(), heapUsed: Type.Integer() }, { description: 'Bytes.' }),
    services: Type.Object({
      redis: Type.Object({
        status: RedisConnection,
        total_commands_processed: Nullable(Type.Integer()),
        instantaneous_ops_per_sec: Nullable(Type.Integer())
      }),
      database: Type.Object({
        status: Connection,
        stats: Type.Object({
          total_orders: Nullable(
            Type.Integer({ description: 'Completed, processing, failed and cancelled together.' })
          ),
          completed_orders: Nullable(Type.Integer()),
          processing_orders: Nullable(
            Type.Integer({
              description:
                'Accepted and not final: messages that wait for a first or another attempt, and spilled rows.'
            })
          ),
          failed_orders: Nullable(Type.Integer()),
          cancelled_orders: Nullable(Type.Integer()),
          total_revenue: Nullable(
            Type.Number({
              description:
                'Sum of the totals of completed orders without a currency, or in DEFAULT_CURRENCY; exact up to 99 billion.'
            })
          ),
          revenue: Type.Union([
            Type.Record(Type.String(), Type.String(), {
              description: 'Sum of the totals of completed orders, exact, by currency.',
              examples: [{ EUR: '1180.50' }]
            }),
            Type.Null()
          ])
        })
      })
    }),
    queue: Type.Object({
      depth: Nullable(Type.Integer({ description: 'Messages on `placed` that are not settled.' })),
      pending: Nullable(
        Type.Integer({ description: 'The messages of `depth` that are delivered to a worker.' })
      ),
      oldest_seconds: Nullable(
        Type.Number({ description: 'Age of the oldest message of `depth`; 0 when there is none.' })
      )
    })
  },
  { $id: 'Metrics', description: 'Figures of this process and of the stores.' }
)
/** Body of `GET /metrics` in JSON. */
export type Metrics = Static<typeof Metrics>
