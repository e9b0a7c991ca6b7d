import { expect, test } from 'vitest'
import type { Order } from '../../schema/http/order.ts'
import { postOrder, startService } from '../harness/service.ts'
import { markKeysInUse, PATIENT, until } from '../harness/space.ts'
import { useOwnStores } from './own-stores.ts'

const stores = await useOwnStores()

const health = async (url: string) => {
  const response = await fetch(`${url}/health`)
  return { code: response.status, ...((await response.json()) as { status: string }) }
}
const orderStatus = async (url: string, id: string) =>
  ((await (await fetch(`${url}/orders/${id}`)).json()) as { status: string }).status

test('a service that starts before its stores is degraded, and works when the stores are available', {
  timeout: 90_000
}, async () => {
  const space = await stores.space()
  await markKeysInUse(space, space.env.KEY_PREFIX as string)
  await Promise.all([stores.redis.kill(), stores.mysql.kill()])

  const api = await startService(space, 'api', PATIENT, 'live')
  await startService(space, 'worker', PATIENT, 'live')
  expect(await health(api.url)).toMatchObject({ code: 503, status: 'degraded' })
  expect((await postOrder(api.url, 'early', 1)).status).toBe(503)

  await stores.redis.start()
  await until('the api serves requests', async () => (await health(api.url)).code === 200)
  expect((await postOrder(api.url, 'first', 1)).status).toBe(202)
  await stores.mysql.start()
  await until('the api is healthy', async () => (await health(api.url)).status === 'healthy')
  await until('the order is completed', async () => (await orderStatus(api.url, 'first')) === 'completed')
  expect((await fetch(`${api.url}/orders/early`)).status).toBe(404)
})

test('after each store is killed and restarted, earlier orders are kept and new orders are completed', {
  timeout: 90_000
}, async () => {
  const space = await stores.space()
  const api = await startService(space, 'api', PATIENT)
  await startService(space, 'worker', { LEASE_MS: '1000', ...PATIENT })
  const completes = async (id: string) => {
    await until(`${id} is accepted`, async () =>
      [200, 202].includes((await postOrder(api.url, id, 1)).status)
    )
    await until(`${id} is completed in Redis too`, async () => {
      const response = await fetch(`${api.url}/orders/${id}`)
      const { status } = (await response.json()) as Order
      return status === 'completed' && response.headers.get('x-cache') === 'hit'
    })
  }
  await completes('before')

  await stores.redis.kill()
  const spilled = await postOrder(api.url, 'no-redis', 1)
  expect([spilled.status, spilled.headers.get('durability')]).toEqual([202, 'mysql'])
  await until(
    'the spilled order is completed',
    async () => (await orderStatus(api.url, 'no-redis')) === 'completed'
  )
  expect(await orderStatus(api.url, 'before')).toBe('completed')
  expect((await fetch(`${api.url}/orders/unknown`)).status).toBe(503)
  await stores.redis.start()
  await completes('after-redis')

  await stores.mysql.kill()
  await until('MySQL is reported unavailable', async () => (await health(api.url)).status === 'degraded')
  expect((await postOrder(api.url, 'no-mysql', 1)).status).toBe(202)
  expect(await orderStatus(api.url, 'before')).toBe('completed')
  expect(await orderStatus(api.url, 'no-mysql')).toBe('processing')
  await stores.mysql.start()
  await completes('after-mysql')
  await until(
    'the waiting order is completed',
    async () => (await orderStatus(api.url, 'no-mysql')) === 'completed'
  )
})
