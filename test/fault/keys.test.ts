import { expect, test } from 'vitest'
import type { IssuedKey } from '../../schema/http/key.ts'
import { type Service, startService } from '../harness/service.ts'
import { PATIENT, until } from '../harness/space.ts'
import { queryRows } from './evidence.ts'
import { useOwnStores } from './own-stores.ts'

const stores = await useOwnStores()
const ADMIN_TOKEN = 'a-token-for-the-tests'
const ON = { ...PATIENT, AUTH: 'on', ADMIN_TOKEN }

const headers = (token: string) => ({ authorization: `Bearer ${token}` })
const read = async (api: Service, key: string) =>
  (await fetch(`${api.url}/orders/nobody`, { headers: headers(key) })).status
const create = async (api: Service) => {
  const made = await fetch(`${api.url}/admin/keys`, {
    method: 'POST',
    headers: { ...headers(ADMIN_TOKEN), 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'shop', scopes: ['orders:read'] })
  })
  expect(made.status).toBe(201)
  return (await made.json()) as IssuedKey
}
const revoke = async (api: Service, id: string) =>
  (await fetch(`${api.url}/admin/keys/${id}`, { method: 'DELETE', headers: headers(ADMIN_TOKEN) })).status
const UNKNOWN = `os_0123456789abcdef_${'x'.repeat(43)}`

test('while MySQL is unavailable, keys work, and a revocation holds in every process and reaches MySQL later', {
  timeout: 120_000
}, async () => {
  const space = await stores.space()
  const [api, other] = [await startService(space, 'api', ON), await startService(space, 'api', ON)]
  const [used, unused, kept] = [await create(api), await create(api), await create(api)]
  for (const each of [api, other]) expect(await read(each, used.key)).toBe(404)

  await stores.mysql.kill()
  // The order could be in MySQL, so a caller with a valid key gets 503.
  await until('the api reports it', async () => (await read(api, used.key)) === 503)
  expect(await read(other, kept.key)).toBe(503)
  expect(await revoke(api, unused.id)).toBe(200)
  expect(await revoke(api, used.id)).toBe(200)
  expect(await read(api, used.key)).toBe(401)
  await until('the other api refuses the key', async () => (await read(other, used.key)) === 401, 10_000)
  const late = await startService(space, 'api', ON, 'live')
  await until('a new process knows the keys from Redis', async () => (await read(late, kept.key)) === 503)
  expect(await read(late, unused.key)).toBe(401)
  // Redis counts as whole for a while. Without the mark of that, nobody can say that the key does not exist.
  await space.redis.del(`{${space.env.KEY_PREFIX}:0}:api_keys_whole`)
  expect(await read(api, UNKNOWN)).toBe(503)

  await stores.mysql.start()
  await until('MySQL has both revocations', async () => {
    const rows = await queryRows<{ id: string }>(
      space,
      'SELECT id FROM api_keys WHERE revoked_at IS NOT NULL'
    )
    return (
      rows
        .map(({ id }) => id)
        .sort()
        .join() === [used.id, unused.id].sort().join()
    )
  })
  expect(await read(api, UNKNOWN)).toBe(401)
  expect(await read(api, kept.key)).toBe(404)
  await until('MySQL has the record of both actions', async () => {
    const revocations = "SELECT id FROM admin_actions WHERE action = 'revokeKey' AND status = 200"
    return (await queryRows(space, revocations)).length === 2
  })
})

test('while Redis is unavailable, keys work and can be created, and a revocation holds in every process', {
  timeout: 120_000
}, async () => {
  const space = await stores.space()
  const [api, other] = [await startService(space, 'api', ON), await startService(space, 'api', ON)]
  const { id, key } = await create(api)
  for (const each of [api, other]) expect(await read(each, key)).toBe(404)

  await stores.redis.kill()
  await until('the api reports it', async () => (await read(api, key)) === 503)
  const made = await create(api)
  expect(await read(other, made.key)).toBe(503)
  expect(await read(other, UNKNOWN)).toBe(401)
  expect(await revoke(api, id)).toBe(200)
  expect(await read(api, key)).toBe(401)
  await until('the other api refuses the key', async () => (await read(other, key)) === 401, 10_000)

  await stores.redis.start()
  await until('Redis has the revocation', () =>
    space.redis.hget(`{${space.env.KEY_PREFIX}:0}:api_keys`, `${id}:revoked`).catch(() => null)
  )
  expect(await read(other, key)).toBe(401)
})
