import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose'
import { expect, onTestFinished, test } from 'vitest'
import { useApp } from '../harness/app.ts'
import { useSpace } from '../harness/space.ts'

const space = await useSpace()
const ISSUER = 'https://login.example'
const AUDIENCE = 'orderstream'

const pair = await generateKeyPair('ES256')
const strangers = await generateKeyPair('ES256')

/** Starts an OpenID provider that publishes the public key. */
async function useProvider() {
  let requests = 0
  const keys = [{ ...(await exportJWK(pair.publicKey)), kid: 'one', alg: 'ES256', use: 'sig' }]
  const server = createServer((_request, response) => {
    requests++
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = () => server.close()
  onTestFinished(() => void close())
  const { port } = server.address() as AddressInfo
  const env = { AUTH: 'on', JWKS_URL: `http://127.0.0.1:${port}/keys`, ISSUER, AUDIENCE }
  return {
    env,
    requests: () => requests,
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    }
  }
}

const claims: JWTPayload = { sub: 'shop', iss: ISSUER, aud: AUDIENCE, scope: 'orders:read openid' }
const sign = (payload: JWTPayload, key = pair.privateKey, expires = '5m') =>
  new SignJWT(payload).setProtectedHeader({ alg: 'ES256', kid: 'one' }).setExpirationTime(expires).sign(key)

test('a JWT of the provider opens the routes of its scopes, without a request per check', async () => {
  const provider = await useProvider()
  const { call } = await useApp(space, 'api', provider.env)
  const status = async (url: string, token: string) =>
    (await call({ url, headers: { authorization: `Bearer ${token}` } })).statusCode
  const reader = await sign(claims)
  expect(await status('/orders/nobody', reader)).toBe(404)
  expect(await status('/admin/keys', reader)).toBe(403)
  expect(await status('/admin/keys', await sign({ ...claims, scope: 'admin:read' }))).toBe(200)
  expect(provider.requests()).toBe(1)

  await provider.stop()
  expect(await status('/orders/nobody', reader)).toBe(404)
})

test('an invalid JWT is refused, for whatever reason', async () => {
  const { env } = await useProvider()
  const { call } = await useApp(space, 'api', env)
  const { sub: _, ...anonymous } = claims
  const invalid = {
    'of another key': await sign(claims, strangers.privateKey),
    expired: await sign(claims, pair.privateKey, '-1m'),
    'of another issuer': await sign({ ...claims, iss: 'https://other.example' }),
    'for another audience': await sign({ ...claims, aud: 'other' }),
    'without a subject': await sign(anonymous),
    'without a signature': new UnsecuredJWT(claims).setExpirationTime('5m').encode(),
    'with another signature': `${(await sign(claims)).split('.').slice(0, 2).join('.')}.AAAA`,
    'with the public key as secret': await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', kid: 'one' })
      .setExpirationTime('5m')
      .sign(Buffer.from(JSON.stringify(await exportJWK(pair.publicKey)))),
    'of a tenant without a valid name': await sign({ ...claims, tenant: 'a/b' }),
    'without its form': 'a.b'
  }
  for (const [kind, token] of Object.entries(invalid)) {
    const answer = await call({ url: '/orders/a', headers: { authorization: `Bearer ${token}` } })
    expect([kind, answer.statusCode]).toEqual([kind, 401])
  }
})

test('the tenant claim has the configured name', async () => {
  const { env } = await useProvider()
  const { call } = await useApp(space, 'api', { ...env, TENANT_CLAIM: 'org' })
  const status = async (payload: JWTPayload) =>
    (await call({ url: '/orders/a', headers: { authorization: `Bearer ${await sign(payload)}` } })).statusCode
  expect(await status({ ...claims, org: 'default', tenant: 'A/B' })).toBe(404)
  expect(await status({ ...claims, org: 'A/B' })).toBe(401)
})

test('an unknown JWT is answered 503 while the provider is unavailable', async () => {
  const provider = await useProvider()
  await provider.stop()
  const { call } = await useApp(space, 'api', provider.env)
  const answer = await call({ url: '/orders/a', headers: { authorization: `Bearer ${await sign(claims)}` } })
  expect(answer.statusCode).toBe(503)
  expect(answer.json().type).toBe('urn:orderstream:problem:provider-unavailable')
})
