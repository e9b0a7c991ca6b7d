import { expect, test } from 'vitest'
import { useApp } from '../harness/app.ts'
import { useSpace } from '../harness/space.ts'

const space = await useSpace()
const ADMIN_TOKEN = 'a-token-for-the-tests'
const SHOP = 'https://shop.example'
const HEADERS = 'authorization,content-type,idempotency-key,last-event-id,prefer'
const preflight = (origin: string) =>
  ({
    method: 'OPTIONS',
    url: '/orders',
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': HEADERS
    }
  }) as const

test('a page of an allowed origin may send requests and read the headers of answers, also of refusals', async () => {
  const settings = { CORS_ORIGINS: `${SHOP}, https://till.example`, AUTH: 'on', ADMIN_TOKEN }
  const { app } = await useApp(space, 'api', settings)
  const allowed = await app.inject(preflight(SHOP))
  expect([allowed.statusCode, allowed.headers['access-control-allow-origin']]).toEqual([204, SHOP])
  expect(allowed.headers['access-control-allow-methods']).toContain('POST')
  expect(allowed.headers['access-control-allow-headers']).toBe(HEADERS)
  const refused = await app.inject({ url: '/orders/a', headers: { origin: SHOP } })
  expect([refused.statusCode, refused.headers['access-control-allow-origin']]).toEqual([401, SHOP])
  const exposed = String(refused.headers['access-control-expose-headers']).split(', ')
  expect(exposed).toEqual(
    expect.arrayContaining(['X-Request-Id', 'Idempotent-Replayed', 'Preference-Applied'])
  )
  for (const origin of ['https://other.example', `${SHOP}.other.example`, 'null'])
    expect((await app.inject(preflight(origin))).headers['access-control-allow-origin']).toBeUndefined()
})

test('no page may send requests by default', async () => {
  const { app } = await useApp(space, 'api')
  expect((await app.inject(preflight(SHOP))).statusCode).toBe(405)
  const answer = await app.inject({ url: '/health', headers: { origin: SHOP } })
  expect(answer.headers['access-control-allow-origin']).toBeUndefined()
})
