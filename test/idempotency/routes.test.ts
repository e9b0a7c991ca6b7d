import { Type } from 'typebox'
import { expect, test } from 'vitest'
import { problem } from '../../schema/http/response.ts'
import { useApp } from '../harness/app.ts'
import { useSpace } from '../harness/space.ts'

const space = await useSpace()

/** The POST routes that need no Idempotency-Key, with the reason. */
const NATURAL_KEY: Record<string, string> = {
  'POST /orders': 'The order_id names one order forever.',
  'POST /orders/batch': 'Each order_id names one order forever.',
  'POST /orders/{order_id}/cancel': 'A cancelled order is returned as it is.'
}

interface Operation {
  parameters?: { name: string; in: string; required?: boolean }[]
  responses: Record<string, unknown>
}

test('every POST route takes an Idempotency-Key, or has a natural key', async () => {
  const { app } = await useApp(space, 'api', { ADMIN_TOKEN: 'a-token-for-the-tests' })
  const { paths } = app.swagger() as unknown as { paths: Record<string, Record<string, Operation>> }
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, each]) => ({ route: `${method.toUpperCase()} ${path}`, ...each }))
  )
  const keyed = operations.filter(({ parameters = [] }) =>
    parameters.some(each => each.name === 'Idempotency-Key' && each.in === 'header' && !each.required)
  )
  const posts = operations.filter(({ route }) => route.startsWith('POST '))
  const wanted = posts.filter(({ route }) => !Object.hasOwn(NATURAL_KEY, route))
  expect(keyed.map(({ route }) => route)).toEqual(wanted.map(({ route }) => route))
  expect(posts.map(({ route }) => route)).toEqual(expect.arrayContaining(Object.keys(NATURAL_KEY)))
  for (const { route, responses } of keyed)
    expect([route, Object.keys(responses)]).toEqual([
      route,
      expect.arrayContaining(['400', '409', '422', '503'])
    ])
})

test('a route keeps its own headers and its own reason for 409', async () => {
  const { app } = await useApp(space, 'api', {}, app => {
    const config = { scope: 'orders:write', idempotencyKey: true } as const
    const schema = {
      headers: Type.Object({ Prefer: Type.Optional(Type.String()) }),
      response: { 409: problem('It exists.', { Allow: 'What is allowed.' }) }
    }
    app.post('/things', { config, schema }, () => {})
  })
  const { paths } = app.swagger() as unknown as { paths: Record<'/things', { post: Operation }> }
  const { parameters, responses } = paths['/things'].post
  expect(parameters?.map(({ name }) => name)).toEqual(['Prefer', 'Idempotency-Key'])
  expect(responses[409]).toMatchObject({
    description: 'It exists. A request with this Idempotency-Key is in progress.',
    headers: { Allow: {}, 'Retry-After': {} }
  })
})
