import { type Static, Type } from 'typebox'

/** Answer to `POST /admin/redis/release`. */
export const RedisRelease = Type.Object(
  {
    prefix: Type.String({ description: 'The KEY_PREFIX of the released keys.' }),
    cluster: Type.Boolean({ description: 'The REDIS_CLUSTER of the released keys.' }),
    partitions: Type.Integer({ description: 'The number of partitions that were released.' })
  },
  { $id: 'RedisRelease', description: 'Keys in Redis that no process uses any more.' }
)
/** Answer to `POST /admin/redis/release`. */
export type RedisRelease = Static<typeof RedisRelease>
