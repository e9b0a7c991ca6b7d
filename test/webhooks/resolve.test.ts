import { Resolver } from 'node:dns/promises'
import { afterEach, expect, test, vi } from 'vitest'
import { createAddressGuard } from '../../src/webhooks/address-guard.ts'
import { DnsUnavailable, EndpointRefused } from '../../src/webhooks/errors.ts'
import { useApp } from '../harness/app.ts'
import { useSpace } from '../harness/space.ts'

const space = await useSpace()
const URL = 'https://shop.example/hook'

afterEach(() => {
  vi.restoreAllMocks()
})

/** Lets the DNS return addresses, or fail with the code of an error. */
function answer(four: string[] | string, six: string[] | string) {
  for (const [method, result] of [
    ['resolve4', four],
    ['resolve6', six]
  ] as const)
    vi.spyOn(Resolver.prototype, method).mockImplementation(async () => {
      if (typeof result === 'string') throw Object.assign(new Error(result), { code: result })
      return result as never
    })
}

test.each([
  ['ENOTFOUND', 'ENOTFOUND', EndpointRefused],
  ['ENODATA', 'ENODATA', EndpointRefused],
  ['EBADNAME', 'EBADNAME', EndpointRefused],
  ['ESERVFAIL', 'ESERVFAIL', DnsUnavailable],
  ['ETIMEOUT', 'ENODATA', DnsUnavailable],
  ['ENODATA', 'ETIMEOUT', DnsUnavailable],
  ['ECONNREFUSED', 'ENOTFOUND', DnsUnavailable]
])(
  'a host is refused without an address, and not while the DNS does not answer: %s and %s',
  async (four, six, error) => {
    answer(four, six)
    await expect(createAddressGuard(false).check(URL)).rejects.toThrow(error)
  }
)

test('a host with addresses of one family is accepted, whatever the query for the other one returns', async () => {
  for (const code of ['ENODATA', 'ETIMEOUT']) {
    answer(['8.8.8.8'], code)
    await createAddressGuard(false).check(URL)
    answer(code, ['2606:4700::1'])
    await createAddressGuard(false).check(URL)
  }
})

test('a request that the DNS does not answer gets 503, and runs again with its Idempotency-Key', async () => {
  const { call } = await useApp(space, 'api')
  const create = () =>
    call({
      method: 'POST',
      url: '/webhook-endpoints',
      headers: { 'idempotency-key': 'dns' },
      payload: { url: URL }
    })
  answer('ESERVFAIL', 'ETIMEOUT')
  const unavailable = await create()
  expect(unavailable.json()).toMatchObject({ status: 503, type: 'urn:orderstream:problem:dns-unavailable' })
  expect(unavailable.headers['retry-after']).toBe('5')
  answer(['8.8.8.8'], 'ENODATA')
  const created = await create()
  expect(created.statusCode).toBe(201)
  answer('ESERVFAIL', 'ESERVFAIL')
  const changed = await call({
    method: 'PATCH',
    url: `/webhook-endpoints/${created.json().id}`,
    payload: { url: 'https://other.example/' }
  })
  expect(changed.json()).toMatchObject({ type: 'urn:orderstream:problem:dns-unavailable' })
})
