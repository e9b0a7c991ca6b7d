import { Redis } from 'ioredis'
import { expect, inject, onTestFinished, test } from 'vitest'
import type { Health } from '../../schema/http/health.ts'
import type { LocalStore } from '../../tools/local/redis.ts'
import { MASTER_NAME } from '../../tools/local/redis-sentinel.ts'
import { ADMIN_TOKEN, lostOf, readAudit } from '../fault/evidence.ts'
import { send } from '../fault/load.ts'
import { useSentinels } from '../harness/sentinels.ts'
import { startService } from '../harness/service.ts'
import { openSpace, until } from '../harness/space.ts'

const redis = await useSentinels(3)
const [master, replica] = redis.servers as [LocalStore, LocalStore]

/** Returns the state of Redis in the health of an api. */
async function healthOfRedis({ url }: { url: string }): Promise<string> {
  const { services } = (await (await fetch(`${url}/health`)).json()) as Health
  return services.redis
}

test('the audit counts the orders that a failover lost, also when other orders have taken their numbers, until an operator acknowledges the loss', {
  timeout: 90_000
}, async () => {
  const space = await openSpace({ ...inject('stores'), redis: master })
  space.redis.on('error', () => {})
  onTestFinished(() => space.close())
  Object.assign(space.env, {
    REDIS_SENTINELS: redis.sentinels.map(({ port }) => `127.0.0.1:${port}`).join(),
    REDIS_SENTINEL_NAME: MASTER_NAME
  })
  const apis = await Promise.all([1, 2].map(() => startService(space, 'api', { ADMIN_TOKEN })))
  const [first, second] = apis as [(typeof apis)[number], (typeof apis)[number]]
  const accepted: string[] = []
  const accept = async ({ url }: { url: string }, prefix: string, count: number) => {
    for (let n = 0; n < count; n++) {
      const { id, status, durability } = await send(url, `${prefix}-${n}`)
      expect([status, durability]).toEqual([202, 'fsync'])
      accepted.push(id)
    }
  }
  await accept(first, 'first', 5)
  await accept(second, 'second', 5)
  const client = new Redis({ port: replica.port, replyMapping: 'legacy' })
  client.on('error', () => {})
  onTestFinished(() => client.disconnect())
  await until('the replica has them', async () => {
    const count = await client.hget(`{${space.env.KEY_PREFIX}:0}:accepted`, 'count')
    return count === '10'
  })

  // Only the master gets these orders, and only the first api knows their numbers.
  process.kill(replica.pid, 'SIGSTOP')
  await space.redis.call('CLIENT', 'KILL', 'TYPE', 'REPLICA')
  await accept(first, 'lost', 3)
  process.kill(master.pid, 'SIGKILL')
  await master.exited
  process.kill(replica.pid, 'SIGCONT')
  await until('the replica is the master', async () => {
    const [role] = (await client.call('ROLE').catch(() => [])) as unknown[]
    return role === 'master'
  })
  await until('both apis use it', async () => {
    const answers = await Promise.all(apis.map(healthOfRedis))
    return answers.every(state => state === 'connected')
  })
  // These would have the numbers of the lost orders. The third api has never seen those numbers.
  const third = await startService(space, 'api', { ADMIN_TOKEN })
  await accept(third, 'fresh', 5)
  await accept(second, 'after', 5)
  await accept(first, 'later', 5)
  await startService(space, 'worker')

  expect(await lostOf(first, space, accepted)).toEqual(['lost-0', 'lost-1', 'lost-2'])
  expect(await readAudit(second)).toMatchObject({ lost: 3, lost_unacknowledged: 3, redis_lost_data: true })
  const acknowledged = await fetch(`${first.url}/admin/audit/acknowledge`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify({ reason: 'the failover' })
  })
  expect(acknowledged.status).toBe(200)
  expect(await readAudit(second)).toMatchObject({ lost: 3, lost_unacknowledged: 0, redis_lost_data: false })
})
