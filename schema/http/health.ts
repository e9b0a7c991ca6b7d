import { type Static, Type } from 'typebox'

const Connection = Type.Enum(['connected', 'disconnected'])

/** The state of Redis. */
export const RedisConnection = Type.Enum(['connected', 'partial', 'disconnected'], {
  description: '`partial`: some masters of a cluster are unavailable.'
})

/** Body of `GET /health`. */
export const Health = Type.Object(
  {
    status: Type.Enum(['healthy', 'degraded'], {
      description: '`degraded` while a store is unavailable, refuses orders, or keeps a function paused.'
    }),
    timestamp: Type.String({ format: 'date-time' }),
    services: Type.Object({ redis: RedisConnection, database: Connection }),
    functions: Type.Optional(
      Type.Array(
        Type.Object({
          name: Type.String(),
          state: Type.Enum(['running', 'paused'], {
            description: '`paused` while it waits for a store that is unavailable or refuses what it needs.'
          }),
          reason: Type.Optional(Type.String({ description: 'Why it is paused.' }))
        }),
        { description: 'Stream functions of this process.' }
      )
    ),
    warnings: Type.Optional(
      Type.Array(Type.String(), {
        description: 'Faults that an operator should remove, although the service works.'
      })
    )
  },
  { $id: 'Health', description: 'State of this process, and of the stores as it sees them.' }
)
/** Body of `GET /health`. */
export type Health = Static<typeof Health>

/** Body of `GET /health/live` and `/health/ready`. */
export const Probe = Type.Object(
  { status: Type.Enum(['ok', 'stopping', 'unavailable']) },
  { $id: 'Probe', description: 'Answer to an orchestrator.' }
)
