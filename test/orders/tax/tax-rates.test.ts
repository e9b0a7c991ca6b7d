import { beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { createMirror } from '../../../src/orders/tax/mirror.ts'
import { TaxRateRefused, toTable } from '../../../src/orders/tax/rate-table.ts'
import { createTaxRates } from '../../../src/orders/tax/tax-rates.ts'
import { StoreUnavailable } from '../../../src/stores/errors.ts'
import { COMMON } from '../../../src/streams/common.ts'
import { openApp, type TestApp, useApp } from '../../harness/app.ts'
import { NOWHERE, until, useSpace } from '../../harness/space.ts'

const space = await useSpace()
const origin = { client: '127.0.0.1', requestId: 'req-1' }
/** This api has no functions, so it does not refresh the rates by itself. */
let api: TestApp

beforeAll(async () => {
  api = await openApp(space, 'api', {}, undefined, { functions: false })
  return api.close
})
beforeEach(async () => {
  await space.sql('DELETE FROM tax_rates')
  await space.redis.del(api.app.keys.taxRates())
})

const process = ({ app }: TestApp = api) =>
  createTaxRates({ redis: app.stores.redis, mysql: app.stores.orders, keys: app.keys, log: app.log })
const set = (region: string, rate: string, from?: string) => process().set({ region, rate, from }, origin)
const now = () => new Date().toISOString()
const mirror = () => space.redis.hgetall(api.app.keys.taxRates())

describe('the tax rates', () => {
  test('depend on the region and on the time of the order', async () => {
    await set('DE', '0.19', '2026-01-01T00:00:00.000Z')
    await set('DE', '0.200', '2090-01-01T00:00:00.000Z')
    await set('US-CA', '0.0725')
    const rates = process()
    await rates.refresh()
    expect(rates.rateOf('DE', '2025-12-31T23:59:59.999Z')).toBe(undefined)
    expect(rates.rateOf('DE', '2026-01-01T00:00:00.000Z')).toBe('0.19')
    expect(rates.rateOf('DE', '2089-12-31T23:59:59.999Z')).toBe('0.19')
    expect(rates.rateOf('DE', '2090-01-01T00:00:00.000Z')).toBe('0.2')
    expect(rates.rateOf('US-CA', now())).toBe('0.0725')
    expect(rates.rateOf('US', now())).toBe(undefined)
    expect(rates.rateOf('de', now())).toBe(undefined)
  })

  test('are known at once to the process that sets them', async () => {
    const rates = process()
    await rates.set({ region: 'FR', rate: '0.2', from: undefined }, origin)
    expect(rates.rateOf('FR', now())).toBe('0.2')
  })

  test('record every change, and the client that made it', async () => {
    await set('DE', '0.16', '2090-01-01T00:00:00.000Z')
    await set('DE', '0.19', '2090-01-01T00:00:00.000Z')
    expect(await space.sql('SELECT version, region, rate, client, request_id FROM tax_rates')).toEqual([
      { version: 1, region: 'DE', rate: '0.160000', client: '127.0.0.1', request_id: 'req-1' },
      { version: 2, region: 'DE', rate: '0.190000', client: '127.0.0.1', request_id: 'req-1' }
    ])
    expect(await process().list()).toEqual([
      expect.objectContaining({ region: 'DE', rate: '0.19', valid_to: null })
    ])
  })

  test('do not change when the same rate is set again, even after it has begun', async () => {
    const from = '2026-01-01T00:00:00.000Z'
    const first = await set('DE', '0.19', from)
    expect(await set('DE', '0.190', from)).toEqual(first)
    await expect(set('DE', '0.2', from)).rejects.toThrow(TaxRateRefused)
    expect(await space.sql('SELECT version FROM tax_rates')).toHaveLength(1)
  })

  test('have consecutive versions when several are set at the same time', async () => {
    const regions = ['A', 'B', 'C', 'D', 'E']
    await Promise.all(regions.map(region => set(region, '0.1')))
    const rows = await space.sql<{ version: number }>('SELECT version FROM tax_rates ORDER BY version')
    expect(rows.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5])
    expect((await process().list()).map(({ region }) => region)).toEqual(regions)
  })

  test('have one first rate when two first rates are set at the same time', async () => {
    const results = await Promise.allSettled(
      ['0.1', '0.2'].map(rate => set('DE', rate, '2026-01-01T00:00:00.000Z'))
    )
    expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    expect(await process().list()).toHaveLength(1)
  })

  test('are unknown until a store is read, and after 30 seconds without a confirmation by a store', async () => {
    await set('DE', '0.19')
    const rates = process()
    expect(() => rates.rateOf('DE', now())).toThrow(StoreUnavailable)
    await rates.refresh()
    expect(rates.rateOf('DE', now())).toBe('0.19')
    const later = performance.now() + 31_000
    const clock = vi.spyOn(performance, 'now').mockReturnValue(later)
    onTestFinished(() => clock.mockRestore())
    expect(() => rates.rateOf('DE', now())).toThrow(StoreUnavailable)
    clock.mockRestore()
    await rates.refresh()
    expect(rates.rateOf('DE', now())).toBe('0.19')
  })
})

describe('the mirror of the tax rates', () => {
  test('serves an api that starts while MySQL is unavailable', async () => {
    await set('DE', '0.19')
    await set('DE', '0.2', '2090-01-01T00:00:00.000Z')
    const { app } = await useApp(space, 'api', { DB_PORT: NOWHERE })
    const { taxRates } = app.orders
    expect(taxRates.rateOf('DE', now())).toBe('0.19')
    expect(taxRates.rateOf('DE', '2090-01-01T00:00:00.000Z')).toBe('0.2')
    expect(taxRates.rateOf('FR', now())).toBe(undefined)
    await expect(taxRates.list()).rejects.toThrow(StoreUnavailable)
  })

  test('is not needed by an api that starts while Redis is unavailable', async () => {
    await set('DE', '0.19')
    const { app } = await useApp(space, 'api', { REDIS_PORT: NOWHERE })
    expect(app.orders.taxRates.rateOf('DE', now())).toBe('0.19')
    const wanted = { region: 'DE', rate: '0.2', from: undefined }
    await expect(app.orders.taxRates.set(wanted, origin)).rejects.toThrow(StoreUnavailable)
    expect(await process().list()).toHaveLength(1)
  })

  test('is required when an api starts without MySQL: without a mirror, the api does not know the rates', async () => {
    await set('DE', '0.19')
    await space.redis.del(api.app.keys.taxRates())
    for (const missing of [{ REDIS_PORT: NOWHERE, DB_PORT: NOWHERE }, { DB_PORT: NOWHERE }]) {
      const { app } = await useApp(space, 'api', missing)
      expect(() => app.orders.taxRates.rateOf('DE', now())).toThrow(StoreUnavailable)
    }
  })

  test('is written again when Redis has lost it, and is deleted after the last rate', async () => {
    await useApp(space, 'api')
    await set('DE', '0.19')
    const before = await mirror()
    await space.redis.del(api.app.keys.taxRates())
    await until('the mirror is back', async () => (await mirror()).stamp === before.stamp)
    expect(await mirror()).toEqual(before)
    // A restored backup may have no rates.
    await space.sql('DELETE FROM tax_rates')
    await until('the mirror is gone', async () => (await mirror()).stamp === undefined)
  })

  test('is not overwritten by a process that has read it before another process wrote it', async () => {
    const { redis } = api.app.stores
    const own = createMirror(redis.masterOf(COMMON), api.app.keys.taxRates())
    const seen = await own.stamp()
    await set('DE', '0.19')
    const written = await mirror()
    await own.write(seen, toTable([]))
    expect(await mirror()).toEqual(written)
  })

  test('does not replace the newer rates of a process, and is updated by this process', async () => {
    await set('DE', '0.19')
    const older = await mirror()
    await set('FR', '0.2')
    const other = await useApp(space, 'api', { DB_PORT: NOWHERE }, undefined, { functions: false })
    const rates = process(other)
    await rates.refresh()
    expect(rates.rateOf('FR', now())).toBe('0.2')
    await space.redis.hset(api.app.keys.taxRates(), older)
    await rates.refresh()
    expect(rates.rateOf('FR', now())).toBe('0.2')
    expect((await mirror()).rates).toContain('FR')
  })
})
