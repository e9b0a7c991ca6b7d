import { Type } from 'typebox'
import { expect, onTestFinished, test } from 'vitest'
import type { App } from '../../src/app.ts'
import { slotOf } from '../../src/stores/redis/cluster/slot.ts'
import { readUnsettledIn } from '../../src/streams/registry/unsettled.ts'
import type { LocalStore } from '../../tools/local/redis.ts'
import { ownerOf, readNodes } from '../../tools/local/redis-nodes.ts'
import { openApp, useApp } from '../harness/app.ts'
import { useCluster } from '../harness/cluster.ts'
import { until } from '../harness/space.ts'

const { cluster, space: openSpace } = await useCluster({ masters: 3, replicas: 0 })

test('a worker that starts while a master is unavailable runs functions in the other partitions', {
  timeout: 60_000
}, async () => {
  const space = await openSpace()
  const seen: string[] = []
  const consume = (app: App) =>
    app.consume({
      name: 'listener',
      stream: 'events',
      schema: Type.Object({ subject: Type.String() }),
      handler: async messages => {
        seen.push(...messages.map(({ body }) => (body as { subject: string }).subject))
      }
    })
  const env = { STORE_TIMEOUT_MS: '1000' }
  const api = await useApp(space, 'api', env)
  const { keys, stores } = api.app
  const partitions = Array.from({ length: keys.partitions }, (_, partition) => partition)
  const before = await openApp(space, 'worker', env, consume)
  // A worker becomes ready before its functions have begun. A new function needs all masters.
  await until('the function has begun in each partition', async () => {
    if (!(await stores.redis.check())) return false
    const groups = await Promise.all(
      partitions.map(at => stores.redis.masterOf(at).run(client => readUnsettledIn(client, keys, at)))
    )
    return groups.every(names => names.has('listener'))
  })
  await before.close()

  // A process that starts needs the master of this key.
  const nodes = await readNodes(cluster.servers)
  const common = ownerOf(nodes, slotOf(keys.partitionCount()))
  const stopped = cluster.servers.find(server => server !== common?.server) as LocalStore
  const owners = partitions.map(at => ownerOf(nodes, slotOf(keys.accepted(at)))?.server)
  process.kill(stopped.pid, 'SIGSTOP')
  onTestFinished(() => void process.kill(stopped.pid, 'SIGCONT'))
  await useApp(space, 'worker', env, consume)
  const ids = Array.from({ length: 60 }, (_, n) => `order-${n}`)
  await Promise.all(ids.map(order_id => api.post({ order_id, amount: 1 })))
  const live = ids.filter(id => owners[keys.partitionOf(id)] !== stopped)
  expect(live.length).toBeLessThan(ids.length)
  await until('their events are seen', () => new Set(live).isSubsetOf(new Set(seen)))
})
