import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { useApp } from '../harness/app.ts'
import { NOWHERE, until, useSpace } from '../harness/space.ts'

const space = await useSpace()

describe('the rate limit', () => {
  /** Sends requests until one is refused, but at most 50. */
  const untilRefused = async (call: (url: string) => Promise<{ statusCode: number }>) => {
    for (let i = 1; i <= 50; i++) if ((await call('/orders/none')).statusCode === 429) return i
    return undefined
  }

  test('refuses requests over the limit of a second, with the headers of the limit', async () => {
    const { call } = await useApp(space, 'api', { RATE_LIMIT_MAX: 5 })
    const open = ['/health', '/health/live', '/health/ready', '/metrics']
    const [refused, statuses] = await until(
      'a request is refused, and another one in the same second',
      async () => {
        await untilRefused(call)
        const answers = []
        for (const url of ['/orders/none', ...open, '/orders/none']) answers.push(await call(url))
        const codes = answers.map(({ statusCode }) => statusCode)
        return codes.at(0) === 429 && codes.at(-1) === 429 && ([answers[0], codes.slice(1, -1)] as const)
      }
    )
    expect(statuses).toEqual(open.map(() => 200))
    expect(refused?.headers).toMatchObject({
      'x-request-id': expect.any(String),
      'x-content-type-options': 'nosniff',
      'ratelimit-policy': '"address";q=5;w=1',
      ratelimit: '"address";r=0;t=1',
      'retry-after': '1'
    })
    expect(refused?.json()).toMatchObject({ type: 'urn:orderstream:problem:too-many-requests', status: 429 })
    await until('the next second', async () => (await call('/orders/none')).statusCode === 404)
  })

  test.each(['203.0.113.7', '[2001:db8::7]'])(
    'counts %s as one client, whatever port a proxy adds',
    async address => {
      const { call } = await useApp(space, 'api', { RATE_LIMIT_MAX: 5, TRUST_PROXY: '127.0.0.1' })
      let port = 1024
      await until('a request is refused', () =>
        untilRefused(url => call({ url, headers: { 'x-forwarded-for': `${address}:${port++}` } }))
      )
    }
  )

  test.each(['', '10.0.0.0/8'])(
    'ignores X-Forwarded-For unless its sender is trusted: "%s"',
    async TRUST_PROXY => {
      const { call, log } = await useApp(space, 'api', { RATE_LIMIT_MAX: 5, TRUST_PROXY })
      let last = 0
      await until('a request is refused', () =>
        untilRefused(url => call({ url, headers: { 'x-forwarded-for': `203.0.113.${last++}` } }))
      )
      expect(new Set(log.flatMap(({ client }) => client ?? []))).toEqual(new Set(['127.0.0.1']))
    }
  )

  test('counts the requests of all processes together', async () => {
    const [a, b] = [
      await useApp(space, 'api', { RATE_LIMIT_MAX: 20 }),
      await useApp(space, 'api', { RATE_LIMIT_MAX: 20 })
    ]
    await until('the second process refuses what the first one has used up', async () => {
      for (let i = 0; i < 30; i++) await a.call('/orders/none')
      // The processes share their counts ten times a second.
      await delay(150)
      return (await b.call('/orders/none')).statusCode === 429
    })
    const counts = (await space.keys()).filter(key => key.includes(':rate:'))
    expect(counts.length).toBeGreaterThan(0)
    for (const key of counts) expect(await space.redis.ttl(key)).not.toBe(-1)
  })

  test('serves exactly as many requests as the limit permits, and a route may lower or raise the limit', async () => {
    const { app } = await useApp(space, 'api', { RATE_LIMIT_MAX: 5 }, app => {
      for (const max of [2, 8])
        app.get(`/own-${max}`, { config: { scope: 'none', rateLimit: { max } } }, async () => 'served')
    })
    const second = () => Math.floor(Date.now() / 1000)
    const tenInASecond = (url: string) =>
      until('ten requests are answered in one second', async () => {
        const last = second()
        await until('it begins', () => second() > last)
        const answers = []
        for (let i = 0; i < 10; i++) answers.push(await app.inject(url))
        return second() === last + 1 && answers
      })
    for (const max of [2, 5, 8]) {
      const answers = await tenInASecond(max === 5 ? '/orders/none' : `/own-${max}`)
      const refused = answers.filter(({ statusCode }) => statusCode === 429)
      expect(10 - refused.length).toBe(max)
      for (const { headers } of refused)
        expect(headers['ratelimit-policy']).toBe(`"${max === 5 ? 'address' : 'route'}";q=${max};w=1`)
    }
  })

  test('works without Redis', async () => {
    const { call } = await useApp(space, 'api', { RATE_LIMIT_MAX: 5, REDIS_PORT: NOWHERE })
    await until('a request is refused', () => untilRefused(call))
  })

  test('is off with RATE_LIMIT_MAX=0', async () => {
    const { call } = await useApp(space, 'api', { RATE_LIMIT_MAX: 0 })
    const response = await call('/orders/none')
    expect(response.statusCode).toBe(404)
    expect(response.headers.ratelimit).toBeUndefined()
  })
})
