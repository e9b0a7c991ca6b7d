import { execFile } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import spectralCore, { type RulesetDefinition } from '@stoplight/spectral-core'
import { oas } from '@stoplight/spectral-rulesets'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { App } from '../../../src/app.ts'
import { type TestApp, useApp } from '../../harness/app.ts'
import { NOWHERE, until, useOtherPrefix, useSpace } from '../../harness/space.ts'

const { Spectral } = spectralCore

const space = await useSpace()

/** Returns the routes of an app, from the tree that its router prints. */
function routesOf(app: App): string[] {
  const path: string[] = []
  return app
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap(line => {
      const [, indent = '', part = '', methods] = /^([│ ├└─]*)(\S+)(?: \((.*)\))?$/.exec(line) ?? []
      path.splice(indent.length / 4 - 1, Number.POSITIVE_INFINITY, part)
      return (methods?.split(', ') ?? [])
        .filter(method => !['HEAD', 'OPTIONS'].includes(method))
        .map(method => `${method} ${path.join('')}`)
    })
}

describe.each(['api', 'worker'] as const)('mode %s', mode => {
  test('is healthy, live and ready with both stores', async () => {
    const { call } = await useApp(space, mode)
    // On a busy machine, the first ping may take longer than the limit of a request.
    const health = await until('it is healthy', async () => {
      const response = await call('/health')
      return response.json().status === 'healthy' && response
    })
    expect(health.statusCode).toBe(200)
    expect(health.json()).toMatchObject({
      status: 'healthy',
      services: { redis: 'connected', database: 'connected' }
    })
    expect((await call('/health/live')).json()).toEqual({ status: 'ok' })
    expect((await call('/health/ready')).statusCode).toBe(200)
  })

  test('is degraded with one store, and not healthy and not ready without both stores', async () => {
    const one = await useApp(space, mode, { REDIS_PORT: NOWHERE })
    const degraded = await one.call('/health')
    expect([degraded.statusCode, degraded.json().status]).toEqual([200, 'degraded'])
    expect(degraded.json().services).toEqual({ redis: 'disconnected', database: 'connected' })
    expect((await one.call('/health/ready')).statusCode).toBe(200)
    expect((await one.call('/metrics')).json()).toMatchObject({
      services: { redis: { status: 'disconnected' } },
      queue: { depth: null }
    })

    const none = await useApp(space, mode, { REDIS_PORT: NOWHERE, DB_PORT: NOWHERE })
    expect((await none.call('/health')).statusCode).toBe(503)
    expect((await none.call('/health/ready')).statusCode).toBe(503)
    expect((await none.call('/health/live')).statusCode).toBe(200)
  })

  test('is not ready as soon as a stop begins, and still answers requests', async () => {
    const { app, call } = await useApp(space, mode, { DRAIN_DELAY_MS: 500 })
    const drained = app.drain()
    expect((await call('/health/ready')).json()).toEqual({ status: 'stopping' })
    expect((await call('/health')).statusCode).toBe(200)
    await drained
  })

  test('returns metrics in the format of Prometheus', async () => {
    const { call } = await useApp(space, mode)
    for (const accept of ['text/plain', 'application/openmetrics-text; version=1.0.0, text/plain;q=0.5']) {
      const response = await call({ url: '/metrics', headers: { accept } })
      expect(response.headers['content-type']).toContain('text/plain')
      expect(response.body).toMatch(/^orderstream_store_up\{store="redis"\} 1$/m)
      expect(response.body).toMatch(/^process_cpu_seconds_total /m)
    }
    for (const accept of ['*/*', 'application/json, text/plain, */*'])
      expect((await call({ url: '/metrics', headers: { accept } })).json()).toHaveProperty('uptime')
  })
})

test('a scrape omits only metrics that cannot be read, and the log has the reason', async () => {
  const { app, call, log } = await useApp(space, 'api')
  const broken = app.keys.settled(0)
  await space.redis.set(broken, 'no hash')
  const response = await call({ url: '/metrics', headers: { accept: 'text/plain' } })
  await space.redis.del(broken)
  expect(response.statusCode).toBe(200)
  expect(response.body).toMatch(/^orderstream_store_up\{store="redis"\} 1$/m)
  expect(response.body).not.toMatch(/^orderstream_audit\{/m)
  expect(log).toContainEqual(
    expect.objectContaining({
      level: 50,
      msg: 'figures could not be read for the metrics',
      err: expect.objectContaining({ message: expect.stringContaining('WRONGTYPE') })
    })
  )
})

test('metrics count waiting and completed orders, and their revenue', async () => {
  const api = await useApp(space, 'api')
  for (let i = 0; i < 5; i++) await api.post({ order_id: `m-${i}`, amount: 10.01 })
  const waiting = (await api.call('/metrics')).json()
  expect(waiting.services.database.stats).toEqual({
    total_orders: 5,
    completed_orders: 0,
    processing_orders: 5,
    failed_orders: 0,
    cancelled_orders: 0,
    total_revenue: 0,
    revenue: {}
  })
  expect(waiting.queue).toMatchObject({ depth: 5, pending: 0, oldest_seconds: expect.any(Number) })

  await useApp(space, 'worker')
  const done = await until('all are settled', async () => {
    const metrics = (await api.call('/metrics')).json()
    return metrics.queue.depth === 0 && metrics
  })
  expect(done.services.database.stats).toEqual({
    total_orders: 5,
    completed_orders: 5,
    processing_orders: 0,
    failed_orders: 0,
    cancelled_orders: 0,
    total_revenue: 59.059,
    revenue: {}
  })
  expect(done.queue).toEqual({ depth: 0, pending: 0, oldest_seconds: 0 })

  await space.sql('UPDATE order_totals SET failed = failed + 1, processing = processing + 2 WHERE slot = 0')
  expect((await api.call('/metrics')).json().services.database.stats).toMatchObject({
    total_orders: 8,
    completed_orders: 5,
    processing_orders: 2,
    failed_orders: 1
  })
})

test('metrics have the number of messages in flight and the age of the oldest one', async () => {
  const { app, call } = await useApp(space, 'api', { KEY_PREFIX: await useOtherPrefix(space, 'old') })
  const placed = app.keys.stream('placed', 0)
  for (const id of ['1000-0', '2000-0']) await space.redis.xadd(placed, id, 'v', '1')
  await space.redis.xgroup('CREATE', placed, 'process-orders', '0')
  await space.redis.xreadgroup('GROUP', 'process-orders', 'c', 'COUNT', 1, 'STREAMS', placed, '>')
  const { queue } = (await call('/metrics')).json()
  expect([queue.depth, queue.pending]).toEqual([2, 1])
  expect(Math.abs(Date.now() / 1000 - 1 - queue.oldest_seconds)).toBeLessThan(60)
})

test('Prometheus metrics count requests by route and status, count orders by outcome, and time batches', async () => {
  const api = await useApp(space, 'api')
  const worker = await useApp(space, 'worker')
  const scrape = async ({ call }: TestApp) =>
    (await call({ url: '/metrics', headers: { accept: 'text/plain' } })).body.split('\n')
  for (const amount of [1, 1, 1, 2]) await api.post({ order_id: 'counted', amount })
  await api.call('/nowhere')
  expect(await scrape(api)).toEqual(
    expect.arrayContaining([
      'orderstream_orders_total{outcome="accepted"} 1',
      'orderstream_orders_total{outcome="replayed"} 2',
      'orderstream_orders_total{outcome="conflict"} 1',
      'http_request_duration_seconds_count{method="POST",route="/orders",status="202"} 1',
      'http_request_duration_seconds_count{method="POST",route="/orders",status="200"} 2',
      'http_request_duration_seconds_count{method="POST",route="/orders",status="409"} 1',
      'http_request_duration_seconds_count{method="GET",route="unknown",status="404"} 1'
    ])
  )
  await until('the batch is counted', async () =>
    (await scrape(worker)).includes('orderstream_messages_total{function="process-orders",outcome="done"} 1')
  )
  expect(await scrape(worker)).toContain(
    'orderstream_batch_duration_seconds_count{function="process-orders"} 1'
  )
})

test.each(['application/json', 'text/plain'])(
  'concurrent requests for the metrics as %s share one read of the stores',
  async accept => {
    const { app, call } = await useApp(space, 'api')
    // Other tests use the same server, so the commands of this process are counted.
    const commands = vi.spyOn(app.stores.redis.client, 'sendCommand')
    onTestFinished(() => commands.mockRestore())
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => call({ url: '/metrics', headers: { accept } }))
    )
    expect(commands.mock.calls.length).toBeGreaterThan(0)
    expect(commands.mock.calls.length).toBeLessThan(100)
    expect(answers.map(({ statusCode }) => statusCode)).toEqual(Array(100).fill(200))
  }
)

test('an api whose Redis user may not run INFO accepts orders', async () => {
  const name = `${space.env.KEY_PREFIX}-app`
  await space.redis.call('ACL', 'SETUSER', name, 'on', '>secret', '~*', '&*', '+@all', '-info')
  onTestFinished(async () => {
    await space.redis.call('ACL', 'DELUSER', name)
  })
  const warn = vi.spyOn(console, 'warn')
  const api = await useApp(space, 'api', { REDIS_USERNAME: name, REDIS_PASSWORD: 'secret' })
  expect(warn).not.toHaveBeenCalled()
  const { services } = (await api.call('/metrics')).json()
  expect(services.redis).toEqual({
    status: 'connected',
    total_commands_processed: null,
    instantaneous_ops_per_sec: null
  })
  expect((await api.post({ order_id: 'no-figures', amount: 1 })).headers.durability).not.toBe('mysql')
  expect(api.log).not.toContainEqual(expect.objectContaining({ msg: 'redis is not available' }))
})

test('metrics sum the backlog, the messages in flight and the oldest age over all partitions', async () => {
  const env = { KEY_PREFIX: await useOtherPrefix(space, 'queue'), STREAM_PARTITIONS: 2 }
  const { app, call } = await useApp(space, 'api', env)
  const [first, second] = [0, 1].map(partition => app.keys.stream('placed', partition)) as [string, string]
  const before = (seconds: number) => `${Date.now() - seconds * 1000}-0`
  await space.redis.xadd(first, before(100), 'v', '1')
  for (const seconds of [3000, 2000]) await space.redis.xadd(second, before(seconds), 'v', '1')
  await space.redis.xgroup('CREATE', second, 'process-orders', '0')
  await space.redis.xreadgroup('GROUP', 'process-orders', 'c', 'COUNT', 1, 'STREAMS', second, '>')
  const { queue } = (await call('/metrics')).json()
  expect(queue).toEqual({ depth: 3, pending: 1, oldest_seconds: expect.any(Number) })
  expect(Math.round(queue.oldest_seconds / 1000)).toBe(3)
})

describe('OpenAPI', () => {
  test.each(['api', 'worker'] as const)('I10: describes every route of mode %s', async mode => {
    const { app, call } = await useApp(space, mode)
    const document = (await call('/openapi.json')).json()
    const described = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods as object).map(method => `${method.toUpperCase()} ${path}`)
    )
    const served = routesOf(app)
    expect(described.sort()).toEqual(
      expect.arrayContaining(['GET /health', 'GET /metrics', 'GET /openapi.json'])
    )
    expect(described.includes('POST /orders')).toBe(mode === 'api')
    expect(served).toEqual(expect.arrayContaining(['GET /health/live', 'GET /docs/']))
    // Only browsers request the page and its files.
    const undescribed = served.filter(
      route => !route.includes('/docs') && !described.includes(route.replace(/:(\w+)/g, '{$1}'))
    )
    expect(undescribed).toEqual([])
  })

  test.each(['api', 'worker'] as const)('passes the rules of Spectral in mode %s', async mode => {
    const { call } = await useApp(space, mode, { ADMIN_TOKEN: 'sixteen characters' })
    const spectral = new Spectral()
    // The package types its own rules too narrowly.
    spectral.setRuleset({ extends: [[oas as unknown as RulesetDefinition, 'recommended']] })
    const faults = await spectral.run((await call('/openapi.json')).json())
    expect(faults.map(({ code, path, message }) => [code, path.join('.'), message])).toEqual([])
  })

  test.each(['api', 'worker'] as const)('passes the rules of Redocly in mode %s', async mode => {
    const { call } = await useApp(space, mode, { ADMIN_TOKEN: 'sixteen characters' })
    const file = join(tmpdir(), `openapi-${process.pid}-${mode}.json`)
    onTestFinished(() => rm(file, { force: true }))
    await writeFile(file, (await call('/openapi.json')).body)
    const redocly = join(import.meta.dirname, '../../../node_modules/.bin/redocly')
    const { stdout, stderr } = await promisify(execFile)(redocly, ['lint', file], {
      env: { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' }
    })
    expect(stdout + stderr).toContain('Your API description is valid')
    expect(stdout + stderr).not.toMatch(/\d+ (error|warning)s?/)
  })

  test('has a page that loads nothing from other hosts', async () => {
    const { app } = await useApp(space, 'api')
    const page = await app.inject('/docs')
    expect(page.statusCode).toBe(200)
    expect(page.body).not.toMatch(/(src|href)="(https?:)?\/\//)
    // Without the first directive, the page has no style. With the second, a browser loads its files over HTTPS.
    const policy = page.headers['content-security-policy']
    expect(policy).toContain("style-src 'self' 'unsafe-inline'")
    expect(policy).not.toContain('upgrade-insecure-requests')
  })
})
