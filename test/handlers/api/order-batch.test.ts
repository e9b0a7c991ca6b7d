import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { OrderResult } from '../../../schema/http/order-batch.ts'
import { linesOf, openApp, type TestApp, useApp } from '../../harness/app.ts'
import { until, useSpace } from '../../harness/space.ts'

const space = await useSpace()
let api: TestApp

beforeAll(async () => {
  api = await openApp(space, 'api', { BODY_LIMIT_BYTES: 4096 })
})
afterAll(() => api.close())

const NDJSON = 'application/x-ndjson'

/** Sends a batch. Returns its results. */
async function send(payload: string, headers: Record<string, string> = {}, { call }: TestApp = api) {
  const answer = await call({
    method: 'POST',
    url: '/orders/batch',
    headers: { 'content-type': NDJSON, ...headers },
    payload
  })
  return { answer, results: answer.statusCode === 200 ? linesOf<OrderResult>(answer.body) : [] }
}

const lineOf = (order_id: string, amount: number | string = 1) => JSON.stringify({ order_id, amount })
const statusesOf = (results: OrderResult[]) => results.map(({ status }) => status)

describe('a batch', () => {
  test.each([
    [NDJSON, `${lineOf('n-0')}\n${lineOf('n-1')}\r\n\n  \n${lineOf('n-2')}`],
    ['application/ndjson', `\ufeff${lineOf('m-0')}\n${lineOf('m-1')}\n${lineOf('m-2')}\n`],
    ['application/jsonl', `\n${lineOf('l-0')}\n${lineOf('l-1')}\n${lineOf('l-2')}\n`],
    ['application/json; charset=utf-8', ` [ ${lineOf('j-0')},\n${lineOf('j-1')} , ${lineOf('j-2')}]\n `]
  ])('in %s is answered with one line for each order, and 200 the second time', async (type, payload) => {
    const { answer, results } = await send(payload, { 'content-type': type })
    expect(answer.headers['content-type']).toBe(NDJSON)
    expect(answer.headers['preference-applied']).toBeUndefined()
    expect(answer.headers['x-content-type-options']).toBe('nosniff')
    const id = /\w-0/.exec(payload)?.[0].slice(0, 2)
    expect(results).toEqual([0, 1, 2].map(index => ({ index, order_id: `${id}${index}`, status: 202 })))
    expect(statusesOf((await send(payload, { 'content-type': type })).results)).toEqual([200, 200, 200])
    expect((await api.call(`/orders/${id}2`)).statusCode).toBe(200)
  })

  test.each(['\n', ''])('may have one order, with %j at its end', async end => {
    const { results } = await send(lineOf('one') + end)
    expect(results).toEqual([{ index: 0, order_id: 'one', status: end ? 202 : 200 }])
  })

  test('has the documents with Prefer: return=representation', async () => {
    const { answer, results } = await send(`${lineOf('doc-0', '1.50')}\n${lineOf('doc-0', 1.5)}\n{}`, {
      prefer: 'return=representation'
    })
    expect(answer.headers['preference-applied']).toBe('return=representation')
    const document = (await api.call('/orders/doc-0')).json()
    expect(results.slice(0, 2)).toEqual([
      { index: 0, order_id: 'doc-0', status: 202, order: document },
      { index: 1, order_id: 'doc-0', status: 200, order: document }
    ])
    expect(results[2]).not.toHaveProperty('order')
  })

  test('has the same error for each order as a single POST, and accepts the others', async () => {
    await api.post({ order_id: 'known', amount: 1 })
    const bad: [string, string | null][] = [
      ['{"order_id":"broken"', null],
      ['{"order_id":"bad id","amount":1}', 'bad id'],
      ['{"order_id":"unknown-field","amount":1,"x":1}', 'unknown-field'],
      ['{"order_id":7,"amount":"1.23456"}', null],
      ['{"order_id":"twice","order_id":"twice","amount":1}', null],
      ['{"order_id":"digits","amount":1.00000000000000000001}', null],
      ['{"order_id":"known","amount":2}', 'known'],
      ['{"order_id":"yen","amount":1.5,"currency":"JPY"}', 'yen'],
      ['{"order_id":"region","amount":1,"region":"nowhere"}', 'region'],
      [`{"order_id":"${'x'.repeat(101)}","amount":1}`, null],
      ['null', null],
      ['[]', null]
    ]
    const lines = bad.flatMap(([text], index) => [text, lineOf(`between-${index}`)])
    const { results } = await send(lines.join('\n'))
    expect(results.map(({ index }) => index)).toEqual(lines.map((_, index) => index))
    for (const [position, [text, id]] of bad.entries()) {
      const single = (await api.post(text)).json()
      const { order_id, status, problem } = results[position * 2] as OrderResult
      expect([order_id, status]).toEqual([id, single.status])
      expect(problem).toEqual({
        ...single,
        detail: single.detail.replace('The body', 'The order'),
        instance: '/orders/batch',
        error_id: expect.any(String)
      })
      expect(results[position * 2 + 1]).toMatchObject({ order_id: `between-${position}`, status: 202 })
    }
  })

  test('reads bytes that are not UTF-8 as a single POST does', async () => {
    const textOf = (id: string) =>
      Buffer.concat([
        Buffer.from(`{"order_id":"${id}","amount":1,"metadata":{"a":"`),
        Buffer.from([0xc3, 0x28, 0xff]),
        Buffer.from('"}}\n')
      ])
    const headers = { 'content-type': 'application/json' }
    const single = await api.call({ method: 'POST', url: '/orders', headers, payload: textOf('bytes-0') })
    const payload = textOf('bytes-1')
    const batch = await api.call({
      method: 'POST',
      url: '/orders/batch',
      headers: { 'content-type': NDJSON, prefer: 'return=representation' },
      payload
    })
    const [result] = linesOf<OrderResult>(batch.body)
    expect([result?.status, result?.order?.metadata]).toEqual([single.statusCode, single.json().metadata])
  })

  test('refuses only a line that is too long', async () => {
    const long = JSON.stringify({ order_id: 'long', amount: 1, metadata: { a: 'x'.repeat(4096) } })
    for (const [type, payload] of [
      [NDJSON, `${lineOf('around-0')}\n${long}\n${lineOf('around-1')}`],
      ['application/json', `[${lineOf('around-0')},${long},${lineOf('around-1')}]`]
    ] as const) {
      const { results } = await send(payload, { 'content-type': type })
      expect(results[1]).toMatchObject({
        order_id: null,
        status: 413,
        problem: {
          type: 'urn:orderstream:problem:order-too-large',
          detail: 'One order may have at most 4096 bytes.'
        }
      })
      expect(results.map(({ status }) => status < 300)).toEqual([true, false, true])
    }
  })

  test('ends with a problem where the JSON of an array is broken', async () => {
    const first = lineOf('array-0')
    for (const payload of [
      `[${first},`,
      `[${first},,${first}]`,
      `[${first},]`,
      `[${first}]]`,
      `[${first}] {}`,
      `[${first},x,${first}]`,
      `[${first} ${first},${first}]`.replace('[', `[${first},`),
      `[${first},{"a":[}],${first}]`
    ]) {
      const { results } = await send(payload, { 'content-type': 'application/json' })
      expect([payload, results.length]).toEqual([payload, 2])
      expect(results.at(-1)?.problem).toMatchObject({ type: 'urn:orderstream:problem:invalid-json' })
    }
  })

  test.each([
    [NDJSON, ''],
    [NDJSON, '\n \r\n'],
    ['application/json', ''],
    ['application/json', '  '],
    ['application/json', '{"order_id":"x","amount":1}'],
    ['application/json', '"[]"']
  ])('is refused as a whole when it is none: %s %j', async (type, payload) => {
    const { answer } = await send(payload, { 'content-type': type })
    expect([answer.statusCode, answer.json().type]).toEqual([400, 'urn:orderstream:problem:invalid-batch'])
  })

  test.each(['[', '[,', '[{"order_id":"x","amount":1}'])(
    'is refused as a whole when the error comes before an order: %s',
    async payload => {
      const { answer } = await send(payload, { 'content-type': 'application/json' })
      expect([answer.statusCode, answer.json().type]).toEqual([400, 'urn:orderstream:problem:invalid-json'])
    }
  )

  test('may be an empty array', async () => {
    expect((await send('[]', { 'content-type': 'application/json' })).answer.body).toBe('')
  })

  test('does not hide the order whose id is batch', async () => {
    await send(lineOf('batch'))
    expect((await api.call('/orders/batch')).json()).toMatchObject({ order_id: 'batch', amount: 1 })
  })

  test('has another media type than JSON or NDJSON: 415', async () => {
    const { answer } = await send('x', { 'content-type': 'text/csv' })
    expect([answer.statusCode, answer.json().detail]).toEqual([415, expect.stringContaining('x-ndjson')])
  })

  test('ends with a problem after the most orders', async () => {
    const { call } = await useApp(space, 'api', { MAX_BATCH_ORDERS: 3 })
    const payload = [0, 1, 2, 3, 4].map(index => lineOf(`most-${index}`)).join('\n')
    const { results } = await send(payload, {}, { ...api, call })
    expect(statusesOf(results)).toEqual([202, 202, 202, 413])
    expect(results[3]?.problem?.type).toBe('urn:orderstream:problem:batch-too-large')
    expect((await api.call('/orders/most-3')).statusCode).toBe(404)
  })

  test('counts each order against the rate limit', async () => {
    const { call } = await useApp(space, 'api', { RATE_LIMIT_MAX: 5 })
    const counted = await until('a batch is handled within one second', async () => {
      const began = Math.floor(Date.now() / 1000)
      const payload = Array.from({ length: 8 }, (_, index) => lineOf(`rate-${began}-${index}`)).join('\n')
      const { results } = await send(payload, {}, { ...api, call })
      return results.length === 8 && Math.floor(Date.now() / 1000) === began && results
    })
    expect(statusesOf(counted)).toEqual([202, 202, 202, 202, 202, 429, 429, 429])
    expect(counted[7]).toMatchObject({
      order_id: expect.stringMatching(/^rate-.*-7$/),
      problem: { type: 'urn:orderstream:problem:too-many-requests', retry_after: 1 }
    })
    expect((await api.call(`/orders/${counted[7]?.order_id}`)).statusCode).toBe(404)
  })

  test('needs the scope orders:write, and its orders are of the tenant of the caller', async () => {
    const ADMIN_TOKEN = 'a-token-for-the-tests'
    const keyed = await useApp(space, 'api', { AUTH: 'on', ADMIN_TOKEN })
    await until('the processes are known', async () => keyed.app.processes.oldestRelease() !== undefined)
    const headersOf = async (tenant: string, scopes: string[]) => {
      const made = await keyed.call({
        method: 'POST',
        url: '/admin/keys',
        headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
        payload: { name: tenant, tenant, scopes }
      })
      return { authorization: `Bearer ${made.json().key}` }
    }
    const reader = await headersOf('acme', ['orders:read'])
    const acme = await headersOf('acme', ['orders:read', 'orders:write'])
    const beta = await headersOf('beta', ['orders:read', 'orders:write'])
    expect((await send(lineOf('tenant-0'), {}, keyed)).answer.statusCode).toBe(401)
    expect((await send(lineOf('tenant-0'), reader, keyed)).answer.statusCode).toBe(403)
    expect(statusesOf((await send(lineOf('tenant-0', 5), acme, keyed)).results)).toEqual([202])
    expect(statusesOf((await send(lineOf('tenant-0', 6), beta, keyed)).results)).toEqual([202])
    expect(statusesOf((await send(lineOf('tenant-0', 6), acme, keyed)).results)).toEqual([409])
    const read = await keyed.call({ url: '/orders/tenant-0', headers: beta })
    expect(read.json()).toMatchObject({ amount: 6 })
  })

  test('passes its request id and its trace on with each order', async () => {
    const id = 'id-of-a-batch'
    const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    await send(lineOf('traced-0'), { 'x-request-id': id, traceparent: trace })
    const [[, fields] = []] = await space.redis.xrevrange(
      api.app.keys.stream('placed', 0),
      '+',
      '-',
      'COUNT',
      1
    )
    expect(fields?.join(' ')).toContain(`request_id ${id} `)
    expect(fields?.join(' ')).toContain(`traceparent ${trace}`)
  })

  test('gets 503 lines while the backlog is full, with one log line', async () => {
    const waiting = await space.redis.xlen(api.app.keys.stream('placed', 0))
    const { call, log } = await useApp(space, 'api', { MAX_BACKLOG: waiting + 2 })
    const payload = [0, 1, 2, 3].map(index => lineOf(`full-${index}`)).join('\n')
    const { results } = await send(payload, {}, { ...api, call })
    expect(statusesOf(results)).toEqual([202, 202, 503, 503])
    expect(results[3]?.problem).toMatchObject({
      type: 'urn:orderstream:problem:backlog-full',
      retry_after: expect.any(Number)
    })
    const lines = log.filter(({ msg }) => msg === 'orders of a batch refused')
    expect(lines).toMatchObject([{ index: 2, status: 503, error_id: results[2]?.problem?.error_id }])
    expect(log.find(({ msg }) => msg === 'request completed')).toMatchObject({
      url: '/orders/batch',
      status: 200,
      batch: { accepted: 2, replayed: 0, refused: 2 }
    })
  })
})
