import { Type } from 'typebox'

const NAME = '^[a-z0-9-]{1,64}$'

/** Name of a stream function, in `app.consume` and in the admin routes. */
export const FunctionName = Type.String({
  pattern: NAME,
  description: 'A stream function, by its name: 1 to 64 of a–z, 0–9 and hyphens.',
  examples: ['process-orders']
})

const DAY = 86_400_000

/**
 * The most messages of a batch. One script call settles a whole batch. The call blocks Redis, and Lua takes at most
 * 8,000 values at once.
 */
export const LARGEST_BATCH = 5000

/**
 * The valid settings of a stream function. The error about an invalid setting shows the description of the setting. The
 * longest window is shorter than the shortest LEASE_MS, because the worker does not renew the lease of messages while
 * they wait for a full batch.
 */
export const FunctionSettings = Type.Object({
  name: FunctionName,
  schema: Type.Unsafe<unknown>({
    description: 'What a body must match: `Type.Object({ … })` of typebox, or another JSON Schema.'
  }),
  handler: Type.Unsafe<unknown>({
    description: 'It is called with each batch: `handler: async (messages, { log, signal }) => { … }`.'
  }),
  filter: Type.Optional(
    Type.Unsafe<unknown>({ description: 'It says by the body whether the function wants a message.' })
  ),
  onDead: Type.Optional(
    Type.Unsafe<unknown>({ description: 'It is called with messages before they become dead letters.' })
  ),
  onRetry: Type.Optional(
    Type.Unsafe<unknown>({ description: 'It is called with messages before they are tried again.' })
  ),
  counters: Type.Optional(
    Type.Unsafe<unknown>({
      description: 'For functions of the service: what the end of a message counts as.'
    })
  ),
  stream: Type.String({
    pattern: '^(?!(accepted|settled|functions|alive|partitions|processes)$)[A-Za-z0-9._-]{1,64}$',
    description:
      'A stream is named by 1 to 64 of A–Z, a–z, 0–9, dot, underscore and hyphen; accepted, settled, functions, alive, partitions and processes are keys of the service.'
  }),
  group: Type.Optional(Type.String({ pattern: NAME, description: 'A group is named as a function is.' })),
  start: Type.Enum(['new', 'all'], {
    description: '`new` begins at the events from now on, `all` at the oldest one that is kept.'
  }),
  version: Type.Union(
    [Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })],
    {
      description: 'The `v` of the messages that the schema describes, or a list of those.'
    }
  ),
  batch: Type.Object({
    size: Type.Integer({ minimum: 1, maximum: LARGEST_BATCH, description: 'Most messages of one batch.' }),
    window: Type.Integer({
      minimum: 0,
      maximum: 250,
      description: 'How long to wait for more when a batch is not full (ms).'
    })
  }),
  concurrency: Type.Integer({
    minimum: 1,
    maximum: 100,
    description: 'Batches in flight in one process for each partition.'
  }),
  retry: Type.Object({
    attempts: Type.Integer({ minimum: 1, maximum: 1000, description: 'Attempts in all.' }),
    base: Type.Integer({ minimum: 1, maximum: DAY, description: 'Longest first pause (ms).' }),
    max: Type.Integer({ minimum: 1, maximum: DAY, description: 'Longest pause (ms).' })
  }),
  timeout: Type.Integer({ minimum: 1, maximum: DAY, description: 'How long a batch may take (ms).' })
})
