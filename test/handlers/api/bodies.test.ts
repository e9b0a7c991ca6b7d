import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openApp, type TestApp } from '../../harness/app.ts'
import { useSpace } from '../../harness/space.ts'

const space = await useSpace()
const ADMIN_TOKEN = 'sixteen characters'
const authorization = `Bearer ${ADMIN_TOKEN}`
let api: TestApp

beforeAll(async () => {
  api = await openApp(space, 'api', { ADMIN_TOKEN }, app => {
    app.post('/loose', { config: { scope: 'none' } }, async ({ body }) => body ?? 'none')
  })
})
afterAll(() => api.close())

const sendTo = (url: string, payload: string) =>
  api.app.inject({
    method: 'POST',
    url,
    payload,
    headers: { 'content-type': 'application/json', authorization }
  })

test.each([
  ['/orders', '{"order_id":"twice","amount":1,"amount":2}', '/amount', 'amount'],
  ['/orders', '{"order_id":"twice","amount":1,"\\u0061mount":1}', '/amount', 'amount'],
  ['/orders', '{"order_id":"twice","order_id":"twice","amount":1}', '/order_id', 'order_id'],
  ['/admin/dead-letters/discard', '{"function":"f","ids":["0:1-0"],"reason":"x","ids":[]}', '/ids', 'ids'],
  ['/admin/dead-letters/redrive', '{"function":"f","rate":1,"rate":2}', '/rate', 'rate'],
  ['/loose', '{"a":[{"b":1},{"c/d":{},"c/d":{}}]}', '/a/1/c~1d', 'c/d']
])('%s refuses %s and names the key that appears twice', async (url, payload, pointer, key) => {
  const response = await sendTo(url, payload)
  expect([response.statusCode, response.json()]).toEqual([
    400,
    expect.objectContaining({
      type: 'urn:orderstream:problem:refused-json',
      detail: `The body is JSON, but the key ${key} appears more than once.`,
      errors: [{ pointer, detail: `the key ${key} appears more than once` }]
    })
  ])
  expect(await space.keys()).not.toContain(api.app.keys.document('twice'))
})

test.each([
  ['{"a":{"__proto__":{"x":1}}}', '/a/__proto__', 'the key __proto__ is not allowed'],
  ['{"\\u005f_proto__":1}', '/__proto__', 'the key __proto__ is not allowed'],
  [
    '{"constructor":{"prototype":1}}',
    '/constructor/prototype',
    'the key prototype is not allowed in constructor'
  ]
])('the refusal of %s names the key that is not allowed', async (payload, pointer, detail) => {
  for (const url of ['/loose', '/orders']) {
    const response = await sendTo(url, payload)
    expect([response.statusCode, response.json().errors]).toEqual([400, [{ pointer, detail }]])
  }
})

test('a repeated key in a string or another object is allowed, and so is constructor without prototype', async () => {
  const body = {
    a: '{"a":1,"a":2}',
    b: { a: '1.00000000000000000001' },
    c: [{ a: 1 }, { a: 1 }],
    constructor: 1
  }
  expect((await sendTo('/loose', JSON.stringify(body))).json()).toEqual(body)
  expect((await sendTo('/loose', `\ufeff${JSON.stringify(body)}`)).json()).toEqual(body)
})

/** Applies the rule for amounts to the text. */
function isAmount(text: string): boolean {
  const [, whole = '', fraction = ''] = /^(0|[1-9]\d*)(?:\.(\d+))?$/.exec(text) ?? []
  const decimals = fraction.replace(/0+$/, '')
  return whole.length <= 10 && decimals.length <= 4 && /[1-9]/.test(whole + decimals)
}

const zeros = fc.constantFrom(0, 0, 1, 3, 15, 20).map(count => '0'.repeat(count))
const decimals = fc
  .tuple(
    fc.oneof(
      fc.integer({ min: 0, max: 10_000_000_001 }),
      fc.constantFrom(0, 1, 99, 9_999_999_999, 10_000_000_000)
    ),
    fc.option(fc.tuple(fc.string({ unit: fc.constantFrom('0', '0', '1', '9'), maxLength: 6 }), zeros, zeros))
  )
  .map(([whole, tail]) => {
    if (tail === null) return String(whole)
    const [digits, some, more] = tail
    const fraction = `${digits}${some}${digits.length % 2 === 0 ? '1' : ''}${more}`
    return fraction === '' ? String(whole) : `${whole}.${fraction}`
  })

test('the rules for an amount apply to the text that was sent, for numbers and for strings', async () => {
  const seen = { taken: 0, refused: 0 }
  const id = (prefix: string, n: number) => `${prefix}-${n}`
  let n = 0
  await fc.assert(
    fc.asyncProperty(decimals, async text => {
      n++
      const taken = isAmount(text)
      seen[taken ? 'taken' : 'refused']++
      const number = await api.post(`{"order_id":"${id('n', n)}","amount":${text}}`)
      const string = await api.post(`{"order_id":"${id('s', n)}","amount":"${text}"}`)
      expect([number.statusCode, string.statusCode], text).toEqual(taken ? [202, 202] : [400, 400])
      if (taken) expect([number.json().amount, string.json().amount]).toEqual([Number(text), Number(text)])
      else
        expect([number, string].map(answer => answer.json().errors[0].pointer)).toEqual([
          '/amount',
          '/amount'
        ])
    }),
    {
      numRuns: 500,
      examples: ['1.00000000000000000001', '1.00000', '0.99999999999999999999', '0.00001'].map(text => [text])
    }
  )
  expect(Math.min(seen.taken, seen.refused)).toBeGreaterThan(100)
})

test.each([
  ['1e2', 202],
  ['1.5E+1', 202],
  ['100000000000000000000000e-21', 202],
  ['1e-4', 202],
  ['1e-5', 400],
  ['1.00000000000000000001e2', 400],
  ['1e6', 202],
  ['1e10', 400],
  ['1e400', 400]
])('the amount %s gets %i as a number, and 400 as a string', async (text, status) => {
  const answer = await api.post(`{"order_id":"exponent-${text.replace(/\W/g, '_')}","amount":${text}}`)
  expect(answer.statusCode).toBe(status)
  if (status === 202) expect(answer.json().amount).toBe(Number(text))
  expect((await api.post({ order_id: 'exponent', amount: text })).statusCode).toBe(400)
})

test('a number that would lose digits is refused with this reason', async () => {
  const { errors } = (await api.post('{"order_id":"long","amount":1.00000000000000000001}')).json()
  expect(errors).toEqual([
    { pointer: '/amount', detail: 'the number has more digits than can be kept: it would be read as 1' }
  ])
})

test.each(['application/json', 'application/json; charset=utf-8', 'text/plain', 'application/xml'])(
  'a request without a body may name the media type %s',
  async type => {
    const headers = { 'content-type': type, authorization }
    const forget = await api.call({ method: 'DELETE', url: '/admin/functions/nobody', headers })
    expect([forget.statusCode, forget.json().detail]).toEqual([
      404,
      expect.stringContaining('nobody is not known')
    ])
    expect((await api.call({ url: '/metrics', headers })).statusCode).toBe(200)
    expect((await api.app.inject({ method: 'POST', url: '/loose', headers })).body).toBe('none')
    const missing = await api.call({ method: 'POST', url: '/orders', headers })
    expect([missing.statusCode, missing.json().detail]).toEqual([
      400,
      'The request has no body, and its schema requires one.'
    ])
  }
)
