import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openApp, type TestApp, useApp } from '../../harness/app.ts'
import { markKeysInUse, NOWHERE, until, useSpace } from '../../harness/space.ts'

const space = await useSpace()
const ADMIN_TOKEN = 'a-token-for-the-tests'
const headers = { authorization: `Bearer ${ADMIN_TOKEN}` }
let api: TestApp

beforeAll(async () => {
  api = await openApp(space, 'api', { ADMIN_TOKEN })
})
afterAll(() => api.close())
beforeEach(async () => {
  await space.sql('DELETE FROM tax_rates')
})

const put = (payload: object, { call } = api) =>
  call({ method: 'PUT', url: '/admin/tax-rates', payload, headers })
const list = async () => (await api.call({ url: '/admin/tax-rates', headers })).json().tax_rates

describe('/admin/tax-rates', () => {
  test('sets and lists rates, by region and time', async () => {
    expect(await list()).toEqual([])
    const first = await put({ region: 'US-CA', rate: '0.0725', valid_from: '2026-01-01T00:00:00+01:00' })
    expect([first.statusCode, first.json()]).toEqual([
      200,
      {
        region: 'US-CA',
        rate: '0.0725',
        valid_from: '2025-12-31T23:00:00.000Z',
        valid_to: null,
        created_at: expect.any(String)
      }
    ])
    await put({ region: 'DE', rate: '0.19' })
    await put({ region: 'US-CA', rate: '0.08', valid_from: '2090-01-01T00:00:00Z' })
    const rates = (await list()) as { region: string; rate: string; valid_to: string | null }[]
    expect(rates.map(({ region, rate, valid_to }) => [region, rate, valid_to])).toEqual([
      ['DE', '0.19', null],
      ['US-CA', '0.0725', '2090-01-01T00:00:00.000Z'],
      ['US-CA', '0.08', null]
    ])
    expect(api.log.filter(({ msg }) => msg === 'a tax rate was set')).toHaveLength(3)
  })

  test('refuses a later rate that begins too early, with its own problem type', async () => {
    await put({ region: 'DE', rate: '0.19' })
    const refused = await put({ region: 'DE', rate: '0.2', valid_from: new Date().toISOString() })
    expect([refused.statusCode, refused.json().type]).toEqual([
      409,
      'urn:orderstream:problem:tax-rate-refused'
    ])
    expect(refused.json().detail).toMatch(/^DE has a rate already\. Another one can begin at 20/)
    const begun = Date.now()
    const { valid_from } = (await put({ region: 'DE', rate: '0.2' })).json()
    expect(Date.parse(valid_from)).toBeGreaterThanOrEqual(begun + 60_000)
  })

  test.each<[object, string]>([
    [{ region: 'DE' }, '/rate'],
    [{ region: 'DE', rate: 0.19 }, '/rate'],
    [{ region: 'DE', rate: '1.1' }, '/rate'],
    [{ region: 'DE', rate: '-0.1' }, '/rate'],
    [{ region: 'DE', rate: '0.1234567' }, '/rate'],
    [{ region: 'de', rate: '0.19' }, '/region'],
    [{ region: '', rate: '0.19' }, '/region'],
    [{ region: 'A'.repeat(21), rate: '0.19' }, '/region'],
    [{ region: 'DE', rate: '0.19', note: '' }, '/note'],
    ...[
      '2026-01-01',
      '2026-01-01T00:00:00',
      '2026-02-30T00:00:00Z',
      '2026-12-31T23:59:60Z',
      '1999-12-31T00:00:00Z',
      '2026-01-01T00:00:00.0001Z',
      '12026-01-01T00:00:00Z',
      'now',
      null
    ].map(valid_from => [{ region: 'DE', rate: '0.19', valid_from }, '/valid_from'] as [object, string])
  ])('refuses %j', async (body, pointer) => {
    const refused = await put(body)
    expect(refused.statusCode).toBe(400)
    expect(refused.json().errors.map((fault: { pointer: string }) => fault.pointer)).toContain(pointer)
    expect(await list()).toEqual([])
  })

  test.each(['2000-01-01T00:00:00+23:59', '2999-12-31T23:59:59.999-23:59', '2026-01-01T00:00:00.1-00:00'])(
    'accepts the time %s',
    async valid_from => {
      expect((await put({ region: 'DE', rate: '0', valid_from })).json().valid_from).toBe(
        new Date(valid_from).toISOString()
      )
      expect((await list())[0].valid_from).toBe(new Date(valid_from).toISOString())
    }
  )

  test('is refused without the token, and answers 503 while MySQL is unavailable', async () => {
    expect((await api.call('/admin/tax-rates')).statusCode).toBe(401)
    const without = await useApp(space, 'api', { ADMIN_TOKEN, DB_PORT: NOWHERE })
    expect((await without.call({ url: '/admin/tax-rates', headers })).statusCode).toBe(503)
    expect((await put({ region: 'DE', rate: '0.19' }, without)).statusCode).toBe(503)
  })
})

describe('an order with a region', () => {
  const post = (id: string, region: string, { post: send } = api) =>
    send({ order_id: id, amount: 100, region })

  test('keeps the rate that its region had when it was accepted, even if it is spilled', async () => {
    await put({ region: 'DE', rate: '0.19' })
    const spilling = await useApp(space, 'api', { REDIS_PORT: NOWHERE })
    await until(
      'the other api knows the rate',
      async () => (await post('in-mysql', 'DE', spilling)).statusCode === 202
    )
    expect((await post('in-redis', 'DE')).statusCode).toBe(202)
    expect((await post('in-redis', 'DE')).statusCode).toBe(200)
    await space.sql('DELETE FROM tax_rates')
    await useApp(space, 'worker')
    for (const id of ['in-mysql', 'in-redis']) {
      const document = await until(`${id} is completed`, async () => {
        const found = (await api.call(`/orders/${id}`)).json()
        return found.status === 'completed' && found
      })
      expect(document).toMatchObject({ region: 'DE', tax: 19, total: 119 })
    }
  })

  test('is refused if its region has no rate, and gets 503 while the rates are unknown', async () => {
    const refused = await post('refused', 'NOWHERE')
    expect([refused.statusCode, refused.json().errors]).toEqual([
      400,
      [{ pointer: '/region', detail: 'the region NOWHERE has no tax rate' }]
    ])
    const KEY_PREFIX = `${space.env.KEY_PREFIX}.empty`
    await markKeysInUse(space, KEY_PREFIX)
    const without = await useApp(space, 'api', { DB_PORT: NOWHERE, KEY_PREFIX })
    expect((await post('unknown', 'DE', without)).statusCode).toBe(503)
    expect((await without.post({ order_id: 'plain', amount: 1 })).statusCode).toBe(202)
  })
})
