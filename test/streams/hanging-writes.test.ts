import { expect, onTestFinished, test } from 'vitest'
import type { App } from '../../src/app.ts'
import { startProxy } from '../fault/proxy.ts'
import { useApp } from '../harness/app.ts'
import { connectTo, until, useSpace } from '../harness/space.ts'
import { makeFunction } from './functions.ts'

const space = await useSpace()

/** Locks the tables as a backup does: reads work and writes wait. Returns a function that unlocks. */
async function lockTables() {
  const connection = await connectTo(space)
  onTestFinished(() => connection.destroy())
  await connection.query('LOCK TABLES orders READ LOCAL, outbox READ LOCAL')
  return async () => {
    await connection.query('UNLOCK TABLES')
  }
}

/** Makes commits hang, as a full disk of the server does, while statements still work. */
async function holdCommits(proxy: Awaited<ReturnType<typeof startProxy>>) {
  // New sessions send READ COMMITTED before their first COMMIT. Open sessions send only COMMIT, so they are frozen.
  proxy.freeze()
  void proxy.holdAt('READ COMMIT', 'COMMIT')
  return async () => proxy.release()
}

test.each([
  ['statements', lockTables],
  ['commits', holdCommits]
])('no attempt is spent while MySQL answers pings and all %s hang', async (_what, hang) => {
  const proxy = await startProxy(Number(space.env.DB_PORT))
  let app: App | undefined
  let tries = 0
  const fn = makeFunction(
    space,
    async () => {
      tries++
      await app?.stores.mysql.transaction(
        ({ run }) => run("INSERT INTO outbox (order_id) VALUES ('none')", []),
        'short'
      )
      return undefined
    },
    { retry: { attempts: 1, base: 10, max: 10 } }
  )
  const worker = await useApp(space, 'worker', { DB_PORT: proxy.port, STORE_TIMEOUT_MS: 250 }, given => {
    app = given
    given.consume(fn.definition)
  })
  await fn.add(1)
  await fn.settled()

  const resume = await hang(proxy)
  const before = tries
  await fn.add(2)
  // A batch that fails without an outage runs fewer times.
  await until('it has failed several times', () => tries > before + 4)
  const logged = (text: string) => worker.log.some(line => line.function === fn.name && line.msg === text)
  await until('the log shows it', () => logged('the function waits for a store that refuses writes'))
  await resume()
  await fn.settled()
  const dead = worker.app.keys.dead(fn.name, 0)
  expect(await space.redis.xlen(dead)).toBe(0)
  await until('the log shows the end', () => logged('the function continues'))
})
