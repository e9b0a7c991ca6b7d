import { expect, inject, onTestFinished, test } from 'vitest'
import type { LocalStore } from '../../tools/local/redis.ts'
import { ADMIN_TOKEN, readAudit } from '../fault/evidence.ts'
import { useSentinels } from '../harness/sentinels.ts'
import { postOrder, type Service, startService } from '../harness/service.ts'
import { openSpace, type Space, until } from '../harness/space.ts'

const redis = await useSentinels(0)
const [master, replica] = redis.servers as [LocalStore, LocalStore]

/** Opens a space and an api that waits for one replica. */
async function startApi(): Promise<{ space: Space; api: Service }> {
  const space = await openSpace({ ...inject('stores'), redis: master })
  onTestFinished(() => space.close())
  const api = await startService(space, 'api', { ADMIN_TOKEN, REDIS_MIN_REPLICAS: '1' })
  return { space, api }
}

/** Stops the replica with its connection open, until the function that it returns is called. */
function freeze(): () => void {
  process.kill(replica.pid, 'SIGSTOP')
  const thaw = () => void process.kill(replica.pid, 'SIGCONT')
  onTestFinished(thaw)
  return thaw
}

async function post({ url }: Service, order_id: string, amount = 10) {
  const { status, headers, body } = await postOrder(url, order_id, amount)
  return { status, durability: headers.get('durability'), body }
}

/** Posts new orders until one has this durability. */
async function postUntil(api: Service, prefix: string, durability: string): Promise<string[]> {
  const ids: string[] = []
  await until(`an order is ${durability}`, async () => {
    ids.push(`${prefix}-${ids.length}`)
    return (await post(api, ids.at(-1) as string)).durability === durability
  })
  return ids
}

test('I1: an order that no replica has in time is also in MySQL, and is one order with its message', {
  timeout: 60_000
}, async () => {
  const { space, api } = await startApi()
  const safe = await postUntil(api, 'safe', 'replicated')
  const thaw = freeze()
  expect(await post(api, 'unsafe')).toMatchObject({
    status: 202,
    durability: 'mysql',
    body: { status: 'processing' }
  })
  expect(await space.sql("SELECT status FROM orders WHERE order_id = 'unsafe'")).toEqual([
    { status: 'processing' }
  ])
  expect(await post(api, 'unsafe')).toMatchObject({ status: 200, body: { status: 'processing' } })
  expect((await post(api, 'unsafe', 11)).status).toBe(409)
  expect(await readAudit(api)).toMatchObject({ difference: 0, in_flight: safe.length + 2 })
  thaw()
  const again = await postUntil(api, 'again', 'replicated')
  const others = await space.sql<{ n: number }>('SELECT CAST(COUNT(*) AS SIGNED) AS n FROM orders')

  await startService(space, 'worker')
  const audit = await until('no order is in flight', async () => {
    const now = await readAudit(api)
    return now.in_flight === 0 && now
  })
  expect(audit).toMatchObject({
    difference: 0,
    completed: safe.length + again.length + 1,
    duplicates: others[0]?.n,
    conflicts: 0,
    lost: 0
  })
})

test('I1: an order whose message a failover loses is not lost, and the audit does not count it as lost', {
  timeout: 60_000
}, async () => {
  const { space, api } = await startApi()
  await postUntil(api, 'safe', 'replicated')
  const thaw = freeze()
  expect(await post(api, 'unsafe')).toMatchObject({ status: 202, durability: 'mysql' })
  thaw()
  // A failover gives Redis the state of the replica: without the message, its document, and its number.
  const prefix = `{${space.env.KEY_PREFIX}:0}`
  const [newest] = await space.redis.xrevrange(`${prefix}:placed`, '+', '-', 'COUNT', 1)
  await space.redis
    .multi()
    .xdel(`${prefix}:placed`, newest?.[0] as string)
    .del(`${prefix}:doc:unsafe`)
    .hincrby(`${prefix}:accepted`, 'count', -1)
    .exec()

  await startService(space, 'worker')
  const audit = await until('no order is in flight', async () => {
    const now = await readAudit(api)
    return now.in_flight === 0 && now.redis_lost_data && now
  })
  expect(audit).toMatchObject({ difference: 0, lost: 0 })
  expect(await space.sql("SELECT order_id FROM orders WHERE status <> 'completed'")).toEqual([])
})

test('I6: an order that is neither in a replica nor in MySQL is not answered 2xx until it is', {
  timeout: 60_000
}, async () => {
  const { space, api } = await startApi()
  await postUntil(api, 'safe', 'replicated')
  const thaw = freeze()
  await space.sql('LOCK TABLES orders WRITE')
  expect((await post(api, 'unsafe')).status).toBe(503)
  expect((await post(api, 'unsafe')).status).toBe(503)
  await space.sql('UNLOCK TABLES')
  thaw()
  const answer = await until('the order is safe', async () => {
    const again = await post(api, 'unsafe')
    return again.status !== 503 && again
  })
  expect(answer).toMatchObject({ status: 200, body: { status: 'processing' } })
  expect(await readAudit(api)).toMatchObject({ difference: 0, duplicates: 0 })
})

test('without a connected replica, an accept does not wait', { timeout: 60_000 }, async () => {
  const { api } = await startApi()
  await postUntil(api, 'safe', 'replicated')
  process.kill(replica.pid, 'SIGKILL')
  await replica.exited
  let sent = 0
  await until('accepts are fast', async () => {
    const began = performance.now()
    const { durability } = await post(api, `fast-${sent++}`)
    return durability === 'mysql' && performance.now() - began < 60
  })
})
