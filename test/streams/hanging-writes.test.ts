import { expect, onTestFinished, test } from 'vitest'
import type { App } from '../../src/app.ts'
import { startProxy } from '../fault/proxy.ts'
import { useApp } from '../harness/app.ts'
import { connectTo, until, useSpace } from '../harness/space.ts'
import { makeFunction } from './functions.ts'

const space = await useSpace()

/** As a backup takes it: reads go on, and each write waits. Gives what unlocks them. */
async function lockTables() {
  const connection = await connectTo(space)
  onTestFinished(() => connection.destroy())
  await connection.query('LOCK TABLES orders READ LOCAL, outbox READ LOCAL')
  return async () => {
    await connection.query('UNLOCK TABLES')
  }
}

/** As a full disk does to the log of a server: all goes well until it is to be made durable. */
async function holdCommits(proxy: Awaited<ReturnType<typeof startProxy>>) {
  // The level of isolation that each session is set to ends like a commit; sessions that are set already are cut off.
  proxy.freeze()
  void proxy.holdAt('READ COMMIT', 'COMMIT')
  return async () => proxy.release()
}

test.each([
  ['statements', lockTables],
  ['commits', holdCommits]
])('a MySQL that answers its ping while all %s hang costs no attempt', async (_what, hang) => {
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

  const letGo = await hang(proxy)
  const before = tries
  await fn.add(2)
  // More often than a batch is tried when the failure is its own.
  await until('it was tried in vain, time and again', () => tries > before + 4)
  const says = (text: string) => worker.log.some(line => line.function === fn.name && line.msg === text)
  await until('it says so', () => says('the function waits for a store that takes no writes'))
  await letGo()
  await fn.settled()
  const dead = worker.app.keys.dead(fn.name, 0)
  expect(await space.redis.xlen(dead)).toBe(0)
  await until('it says that it is over', () => says('the function goes on'))
})
