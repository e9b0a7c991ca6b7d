import fc from 'fast-check'
import { expect, test } from 'vitest'
import { useApp } from '../harness/app.ts'
import { useSpace } from '../harness/space.ts'
import { type Document, requestsOf } from './requests.ts'

const space = await useSpace()
const ADMIN_TOKEN = 'a-token-for-the-tests'

/** Requests of a run: `GENERATED_REQUESTS=20000 npx vitest run test/openapi` sends more than a normal run. */
const REQUESTS = Number(process.env.GENERATED_REQUESTS ?? 2000)

test('generated requests, valid and invalid, get only answers that the OpenAPI document describes', {
  timeout: 60_000 + REQUESTS * 100
}, async () => {
  const { app, call } = await useApp(space, 'api', { AUTH: 'on', ADMIN_TOKEN, RATE_LIMIT_MAX: 0 })
  const key = async (scopes: string[]) => {
    const made = await call({
      method: 'POST',
      url: '/admin/keys',
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
      payload: { name: 'generated', scopes }
    })
    return made.json().key as string
  }
  const tokens = [
    ADMIN_TOKEN,
    await key(['orders:read', 'orders:write']),
    await key(['webhooks']),
    await key(['orders:read']),
    'wrong'
  ]
  const statuses = new Map<number, number>()
  await fc.assert(
    fc.asyncProperty(requestsOf(app.swagger() as unknown as Document, tokens), async request => {
      // `call` fails for a status or a body that the document does not describe.
      const { statusCode, body } = await call(request)
      if (statusCode >= 500) throw new Error(`answered ${statusCode}: ${body}`)
      statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1)
    }),
    { numRuns: REQUESTS }
  )
  // The generator reaches what it is for: accepted and read orders, and refusals of each kind.
  expect([...statuses.keys()]).toEqual(expect.arrayContaining([200, 202, 400, 401, 403, 404, 415]))
})
