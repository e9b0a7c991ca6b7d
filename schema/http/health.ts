import { type Static, Type } from 'typebox'

const Connection = Type.Enum(['connected', 'disconnected'])

export const Health = Type.Object(
  {
    status: Type.Enum(['healthy', 'degraded'], {
      description: '`degraded` while a store is unavailable, refuses orders, or keeps a function paused.'
    }),
    timestamp: Type.String({ format: 'date-time' }),
    services: Type.Object({ redis: Connection, database: Connection }),
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
      Type.Array(Type.String(), { description: 'What should be mended though it works.' })
    )
  },
  { $id: 'Health', description: 'State of this process and of the stores as it sees them.' }
)
export type Health = Static<typeof Health>

export const Probe = Type.Object(
  { status: Type.Enum(['ok', 'stopping', 'unavailable']) },
  { $id: 'Probe', description: 'Answer to an orchestrator.' }
)
