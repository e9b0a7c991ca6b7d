import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openApp, type TestApp } from '../../harness/app.ts'
import { useSpace } from '../../harness/space.ts'

const space = await useSpace()
let api: TestApp

beforeAll(async () => {
  api = await openApp(space, 'api')
})
afterAll(() => api.close())

/** The rules of the API, written independently of the schema. */
const isId = (id: unknown) =>
  typeof id === 'string' &&
  id.length >= 1 &&
  id.length <= 100 &&
  [...id].every(c => 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-'.includes(c))
const isAmount = (amount: unknown) => {
  if (typeof amount === 'number')
    return amount > 0 && amount <= 9999999999.9999 && Number(amount.toFixed(4)) === amount
  return typeof amount === 'string' && /^(0|[1-9]\d{0,9})(\.\d{1,4}0*)?$/.test(amount) && Number(amount) > 0
}
const isOrder = (body: unknown) =>
  typeof body === 'object' &&
  body !== null &&
  !Array.isArray(body) &&
  Object.keys(body).sort().join() === 'amount,order_id' &&
  isId((body as Record<string, unknown>).order_id) &&
  isAmount((body as Record<string, unknown>).amount)

const fresh = fc.uuid()
const ids = fc.oneof(
  { weight: 6, arbitrary: fresh },
  fc.string({ minLength: 0, maxLength: 101 }),
  fc.string({ unit: fc.constantFrom('a', 'Z', '0', '_', '-'), minLength: 99, maxLength: 101 }),
  fresh.map(id => ` ${id}`),
  fresh.map(id => `${id}\n`),
  fresh.map(id => `${id}é`),
  fc.constantFrom(null, 1, true, [], {})
)
const amounts = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 9_999_999_999 }).map(units => units / 10_000) },
  {
    weight: 3,
    arbitrary: fc.integer({ min: 1, max: 9_999_999_999 }).map(units => (units / 10_000).toFixed(4))
  },
  fc.double(),
  fc.double({ min: 0, max: 1e6, noNaN: true }),
  fc.constantFrom(
    0,
    -0,
    -1,
    1e3,
    1e6,
    0.3,
    0.1 + 0.2,
    100.1,
    0.0001,
    0.00001,
    1e-5,
    9999999999.9999,
    1e10,
    9999999999.99991,
    Number.MAX_VALUE
  ),
  fc.constantFrom(
    '0',
    '0.0',
    '0.0000',
    '0.0001',
    '1e3',
    ' 1',
    '1 ',
    '+1',
    '-1',
    '01',
    '.5',
    '5.',
    '1.00000',
    '0.00010',
    '0.00000',
    '1.000010',
    '9999999999.9999',
    '10000000000',
    '',
    'NaN',
    '１',
    '1\n'
  ),
  fc.constantFrom(null, true, [], [1], {})
)
const orders = fc.record({ order_id: ids, amount: amounts })
const bodies = fc.oneof(
  { weight: 12, arbitrary: orders },
  fc.record({ order_id: ids, amount: amounts }, { requiredKeys: [] }),
  fc
    .tuple(orders, fc.string(), fc.jsonValue())
    .map(([order, name, value]) => ({ ...order, [name === '__proto__' ? 'x' : name]: value })),
  fc.jsonValue()
)

describe('2,000 bodies at the limits of the schema', () => {
  test('get the status that the rules require, and no refused body is stored', async () => {
    const seen = new Map<string, number>()
    let refused = 0
    await fc.assert(
      fc.asyncProperty(bodies, async body => {
        // In JSON, NaN becomes null.
        const text = JSON.stringify(body)
        const sent = JSON.parse(text)
        const response = await api.post(text)
        if (!isOrder(sent)) {
          expect(response.statusCode, text).toBe(400)
          expect(response.json().errors?.length ?? 1).toBeGreaterThan(0)
          refused++
          return
        }
        const amount = Number(sent.amount)
        const known = seen.get(sent.order_id)
        expect(response.statusCode, text).toBe(known === undefined ? 202 : known === amount ? 200 : 409)
        if (known === undefined) seen.set(sent.order_id, amount)
        expect(response.json().amount ?? amount).toBe(amount)
      }),
      { numRuns: 2000 }
    )
    // The run has tested enough of both cases.
    expect(seen.size).toBeGreaterThan(200)
    expect(refused).toBeGreaterThan(200)
    const documents = (await space.keys())
      .filter(key => key.includes(':doc:'))
      .map(key => key.split(':doc:')[1])
    expect(documents.sort()).toEqual([...seen.keys()].sort())
    expect(await space.redis.xlen(api.app.keys.stream('placed', 0))).toBe(seen.size)
    expect(await space.sql('SELECT COUNT(*) AS n FROM orders')).toEqual([{ n: 0 }])
  })
})

test('a refusal reports all faults, each with a JSON pointer', async () => {
  const response = await api.post({ amount: '1e3', 'a/b~c': 1, __extra: 2 })
  expect(response.statusCode).toBe(400)
  expect(response.headers['content-type']).toContain('application/problem+json')
  expect(response.json()).toMatchObject({
    type: 'urn:orderstream:problem:validation-failed',
    status: 400,
    instance: '/orders',
    error_id: expect.any(String),
    errors: expect.arrayContaining([
      { pointer: '/order_id', detail: 'is required' },
      { pointer: '/amount', detail: expect.any(String) },
      { pointer: '/a~1b~0c', detail: 'the field a/b~c is unknown' },
      { pointer: '/__extra', detail: 'the field __extra is unknown' }
    ])
  })
})

test('each fault is a complete sentence', async () => {
  const faultsOf = async (answer: ReturnType<typeof api.call>) => {
    const { detail, errors } = (await answer).json()
    return [detail, ...errors.map((fault: { detail: string }) => fault.detail)]
  }
  expect(await faultsOf(api.post([]))).toEqual(['The body does not match its schema.', 'must be an object'])
  expect(await faultsOf(api.post({ order_id: 'x', amount: true }))).toContain('must be a number or a string')
  expect(await faultsOf(api.call('/orders/a%20b'))).toContain('The path does not match its schema.')
})

test.each([
  [1.00001, 'must have at most four decimals'],
  [true, 'must be a number or a string'],
  [0, 'must be > 0'],
  [-5, 'must be > 0'],
  [10_000_000_000, 'must be <= 9999999999.9999'],
  [1e30, 'must be <= 9999999999.9999'],
  [
    '1e3',
    'is not valid. Expected: A number or a string, above 0, at most 9999999999.9999, with at most four decimals as it is written, and no more than the currency has; zeros at the end do not count. Only a number may have an exponent.'
  ]
])('the fault of the amount %s states the rule', async (amount, detail) => {
  const { errors } = (await api.post({ order_id: 'amount', amount })).json()
  const faults = errors.filter(({ pointer }: { pointer: string }) => pointer === '/amount')
  expect(faults).toContainEqual({ pointer: '/amount', detail })
  if (amount !== true) expect(faults).toHaveLength(1)
})

test('the faults of an id, a media type and a size state the rule', async () => {
  const id = 'Expected: 1 to 100 of A–Z, a–z, 0–9, underscore and hyphen. It names one order forever.'
  const detail = `is not valid. ${id}`
  expect((await api.post({ order_id: 'a b', amount: 1 })).json().errors).toEqual([
    { pointer: '/order_id', detail }
  ])
  expect((await api.call('/orders/a%20b')).json().errors).toEqual([{ pointer: '/order_id', detail }])
  const send = async (payload: string, type: string) => {
    const headers = { 'content-type': type }
    return (await api.call({ method: 'POST', url: '/orders', payload, headers })).json().detail
  }
  expect(await send('<order/>', 'application/xml')).toContain('Content-Type: application/json')
  expect(await send(`"${'x'.repeat(270_000)}"`, 'application/json')).toBe(
    'The body may have at most 262144 bytes.'
  )
})

test.each([
  ['no JSON', '{', { 'content-type': 'application/json' }, 400],
  ['text', '{"order_id":"t","amount":1}', { 'content-type': 'text/plain' }, 415],
  ['a form', 'order_id=a&amount=1', { 'content-type': 'application/x-www-form-urlencoded' }, 415],
  [
    'a huge body',
    JSON.stringify({ order_id: 'x'.repeat(270_000), amount: 1 }),
    { 'content-type': 'application/json' },
    413
  ]
])('%s is refused with a problem', async (_name, payload, headers, status) => {
  const response = await api.call({ method: 'POST', url: '/orders', payload, headers })
  expect(response.statusCode).toBe(status)
  expect(response.json()).toMatchObject({ status, error_id: expect.any(String) })
})
