import { expect, test } from 'vitest'
import { PROBLEMS, problemType } from '../../schema/http/problem-types.ts'
import { useApp } from '../harness/app.ts'
import { useSpace } from '../harness/space.ts'

const space = await useSpace()

test('each kind of refusal has a problem type of its own', async () => {
  const { call, post } = await useApp(space, 'api')
  const typed = async (answer: ReturnType<typeof call>) => (await answer).json().type
  const body = (headers: Record<string, string>) => post('{"order_id":"a","amount":1}', headers)
  expect({
    route: await typed(call('/nowhere')),
    method: await typed(call({ method: 'DELETE', url: '/orders' })),
    order: await typed(call('/orders/nobody')),
    json: await typed(post('{')),
    twice: await typed(post('{"order_id":"a","order_id":"b","amount":1}')),
    schema: await typed(post({ order_id: 'a' })),
    coding: await typed(body({ 'content-encoding': 'gzip' })),
    media: await typed(body({ 'content-type': 'text/plain' })),
    host: await typed(call({ url: '/orders/a', headers: { host: 'a b' } }))
  }).toEqual({
    route: problemType('route-not-found'),
    method: problemType('method-not-allowed'),
    order: problemType('order-not-found'),
    json: problemType('invalid-json'),
    twice: problemType('refused-json'),
    schema: problemType('validation-failed'),
    coding: problemType('unsupported-content-coding'),
    media: problemType('unsupported-media-type'),
    host: problemType('invalid-host')
  })
})

test('the OpenAPI document names every type of problem', async () => {
  const { call } = await useApp(space, 'worker')
  const { description } = (await call('/openapi.json')).json().components.schemas.Problem.properties.type
  expect(Object.keys(PROBLEMS).filter(name => !description.includes(`\`${name}\``))).toEqual([])
})
