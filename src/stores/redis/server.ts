import type { RedisClock } from './clock.ts'
import type { RedisFacts } from './facts.ts'

/** The server that runs commands. */
export interface RedisServer {
  /** The server's clock, for deadlines. */
  clock: RedisClock
  /** Returns what the server guarantees, as the last probe found. */
  facts: () => RedisFacts
}
