import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startMariadb } from '../../tools/local/mariadb.ts'
import { startRedis } from '../../tools/local/redis.ts'

/** The addresses of the stores of this run. A test gets them with `inject('stores')`. */
export interface Stores {
  redis: { host: string; port: number }
  mysql: { host: string; port: number; user: string; password: string }
}

declare module 'vitest' {
  interface ProvidedContext {
    stores: Stores
  }
}

/** Starts one private Redis and MariaDB for the whole run. Their data is kept when a test fails. */
export default async function stores(project: TestProject) {
  const dir = await mkdtemp(join(tmpdir(), 'orderstream-test-'))
  // Hundreds of processes load the same modules. The workers of vitest and the services inherit this.
  process.env.NODE_COMPILE_CACHE ??= join(dir, 'compile-cache')
  const [redis, mysql] = await Promise.all([
    startRedis({ dir: join(dir, 'redis') }),
    startMariadb({ dir: join(dir, 'mariadb') })
  ])
  project.provide('stores', {
    redis: { host: redis.host, port: redis.port },
    mysql: { host: mysql.host, port: mysql.port, user: mysql.user, password: mysql.password }
  })
  return async () => {
    await Promise.all([redis.stop(), mysql.stop()])
    if (project.vitest.state.getCountOfFailedTests() > 0)
      console.error(`The data of the failed tests is kept in ${dir}`)
    else await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  }
}
