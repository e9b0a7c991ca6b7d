import { expect, test } from 'vitest'
import type { AdminActionPage } from '../../schema/http/admin-action.ts'
import { type TestApp, useApp } from '../harness/app.ts'
import { useSpace } from '../harness/space.ts'

const space = await useSpace()
const ADMIN_TOKEN = 'a-token-for-the-tests'

const call = ({ call }: TestApp, method: 'GET' | 'POST' | 'PUT' | 'DELETE', url: string, payload?: object) =>
  call({
    method,
    url: `/admin${url}`,
    headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    ...(payload && { payload })
  })
const actions = async (app: TestApp, query = '') =>
  (await call(app, 'GET', `/actions${query}`)).json<AdminActionPage>()

test('each request that changes something is in the log, with who, what, when, why and its outcome', async () => {
  const app = await useApp(space, 'api', { ADMIN_TOKEN })
  expect(await actions(app)).toEqual({ actions: [], next: '' })
  const reason = 'for the test'
  const { id } = (await call(app, 'POST', '/keys', { name: 'a', scopes: ['admin'], reason })).json()
  const requests = [
    ['POST', `/keys/${id}/rotate?keep_seconds=5&reason=lost`],
    ['DELETE', `/keys/${id}?reason=gone`],
    ['PUT', '/tax-rates', { region: 'DE', rate: '0.19', reason }],
    ['POST', '/dead-letters/redrive', { function: 'process-orders', reason }],
    ['POST', '/dead-letters/discard', { function: 'process-orders', ids: ['0:1-0'], reason }],
    ['POST', '/audit/acknowledge', { reason }],
    ['DELETE', '/functions/nothing?reason=unused']
  ] as const
  for (const [method, url, body] of requests) await call(app, method, url, body)
  // Reads, and requests that their schema or their scope refuses, change nothing.
  await call(app, 'GET', '/keys')
  await call(app, 'POST', '/keys', {})
  await app.call({ method: 'DELETE', url: `/admin/keys/${id}` })

  const page = await actions(app)
  expect(page.actions.toReversed().map(({ action, status, reason }) => [action, status, reason])).toEqual([
    ['createKey', 201, reason],
    ['rotateKey', 200, 'lost'],
    ['revokeKey', 200, 'gone'],
    ['setTaxRate', 200, reason],
    ['redriveDeadLetters', 200, reason],
    ['discardDeadLetters', 200, reason],
    ['acknowledgeLoss', 409, reason],
    ['forgetFunction', 404, 'unused']
  ])
  expect(page.actions.at(-1)).toEqual({
    id: expect.any(String),
    time: expect.stringMatching(/^20.*Z$/),
    actor: 'admin-token',
    client: '127.0.0.1',
    request_id: expect.any(String),
    action: 'createKey',
    details: { name: 'a', scopes: ['admin'] },
    reason,
    status: 201
  })
  expect(page.actions.at(-2)?.details).toEqual({ id, keep_seconds: 5 })
})

test('the log has pages, from the newest action to the oldest', async () => {
  const app = await useApp(space, 'api', { ADMIN_TOKEN })
  for (let i = 0; i < 5; i++) await call(app, 'DELETE', `/functions/none-${i}`)
  const seen: unknown[] = []
  let after = ''
  do {
    const page = await actions(app, `?limit=2&after=${after}`)
    expect(page.actions.length).toBeLessThanOrEqual(2)
    seen.push(...page.actions.map(({ details }) => (details as { function?: string }).function))
    after = page.next
  } while (after !== '')
  expect(seen.slice(0, 5)).toEqual(['none-4', 'none-3', 'none-2', 'none-1', 'none-0'])
})
