import type { StoreAccess } from '../../../tools/chaos/stores.ts'
import type { Space } from '../../harness/space.ts'

/** Returns the connections of the chaos harness to the stores of a space. */
export function accessOf({ env }: Space): StoreAccess {
  const { REDIS_HOST, REDIS_PORT, DB_HOST, DB_PORT, DB_USER, DB_PASSWORD, DB_NAME, KEY_PREFIX } =
    env as Record<
      | 'REDIS_HOST'
      | 'REDIS_PORT'
      | 'DB_HOST'
      | 'DB_PORT'
      | 'DB_USER'
      | 'DB_PASSWORD'
      | 'DB_NAME'
      | 'KEY_PREFIX',
      string
    >
  return {
    redis: [{ host: REDIS_HOST, port: Number(REDIS_PORT) }],
    mysql: { host: DB_HOST, port: Number(DB_PORT), user: DB_USER, password: DB_PASSWORD, database: DB_NAME },
    partitions: [{ tag: `${KEY_PREFIX}:0`, slot: 0 }]
  }
}
