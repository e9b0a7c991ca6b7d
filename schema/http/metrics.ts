import { type Static, Type } from 'typebox'

const Nullable = <T extends ReturnType<typeof Type.Number> | ReturnType<typeof Type.Integer>>(schema: T) =>
  Type.Union([schema, Type.Null()])
const Connection = Type.Enum(['connected', 'disconnected'])

/** Body of `GET /metrics` in JSON; figures of a store that is away are null. */
export const Metrics = Type.Object(
  {
    timestamp: Type.String({ format: 'date-time' }),
    uptime: Type.Number({ description: 'Seconds since this process started.' }),
    memory: Type.Object({ rss: Type.Integer(), heapUsed: Type.Integer() }, { description: 'Bytes.' }),
    services: Type.Object({
      redis: Type.Object({
        status: Connection,
        total_commands_processed: Nullable(Type.Integer()),
        instantaneous_ops_per_sec: Nullable(Type.Integer())
      }),
      database: Type.Object({
        status: Connection,
        stats: Type.Object({
          total_orders: Nullable(Type.Integer({ description: 'Completed, processing and failed together.' })),
          completed_orders: Nullable(Type.Integer()),
          processing_orders: Nullable(
            Type.Integer({
              description:
                'Accepted and not final: waiting in Redis, for a first or another attempt, or as a row.'
            })
          ),
          failed_orders: Nullable(Type.Integer()),
          total_revenue: Nullable(
            Type.Number({
              description:
                'Sum of the totals of completed orders; exact up to 99 billion, as far as a JSON number is.'
            })
          )
        })
      })
    }),
    queue: Type.Object({
      depth: Nullable(
        Type.Integer({ description: 'Messages on `placed` that are not settled, delivered or not.' })
      ),
      pending: Nullable(Type.Integer({ description: 'Those of them that a worker has in hand.' })),
      oldest_seconds: Nullable(Type.Number({ description: 'Age of the oldest one; 0 when there is none.' }))
    })
  },
  { $id: 'Metrics', description: 'Figures of this process and of the stores.' }
)
export type Metrics = Static<typeof Metrics>
