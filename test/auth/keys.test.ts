import { expect, test } from 'vitest'
import { useApp } from '../harness/app.ts'
import { useSpace } from '../harness/space.ts'

const space = await useSpace()
const ADMIN_TOKEN = 'a-token-for-the-tests'
const authorization = `Bearer ${ADMIN_TOKEN}`

test('a key opens the routes of its scopes, and none after it is revoked', async () => {
  const { call } = await useApp(space, 'api', { AUTH: 'on', ADMIN_TOKEN })
  expect((await call('/orders/nobody')).statusCode).toBe(401)
  const made = await call({
    method: 'POST',
    url: '/admin/keys',
    payload: { name: 'shop', scopes: ['orders:read'] },
    headers: { authorization }
  })
  expect(made.statusCode).toBe(201)
  const { id, key } = made.json()
  const read = () => call({ url: '/orders/nobody', headers: { authorization: `Bearer ${key}` } })
  expect((await read()).statusCode).toBe(404)
  const write = {
    method: 'POST',
    url: '/orders',
    payload: { order_id: 'a', amount: 1 },
    headers: { authorization: `Bearer ${key}` }
  } as const
  expect((await call(write)).statusCode).toBe(403)
  const revoked = await call({ method: 'DELETE', url: `/admin/keys/${id}`, headers: { authorization } })
  expect(revoked.statusCode).toBe(200)
  expect((await read()).statusCode).toBe(401)
  expect(JSON.stringify(await space.sql('SELECT * FROM api_key_secrets'))).not.toContain(key)
})
