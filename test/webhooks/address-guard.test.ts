import type { LookupAddress } from 'node:dns'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createAddressGuard, ForbiddenAddress, isPublicAddress } from '../../src/webhooks/address-guard.ts'
import { EndpointRefused } from '../../src/webhooks/errors.ts'

/** IPv4 ranges that are not public, as the first address and the length of the prefix. */
const FORBIDDEN_V4: [first: string, prefix: number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['168.63.129.16', 32]
]

const toNumber = (address: string) =>
  address.split('.').reduce((total, part) => total * 256 + Number(part), 0)
const octetsOf = (number: number) => [24, 16, 8, 0].map(shift => Math.floor(number / 2 ** shift) % 256)
const toText = (number: number) => octetsOf(number).join('.')

const forbiddenV4 = fc
  .constantFrom(...FORBIDDEN_V4)
  .chain(([first, prefix]) =>
    fc.integer({ min: 0, max: 2 ** (32 - prefix) - 1 }).map(offset => toNumber(first) + offset)
  )

/** The spellings of an IPv4 address that a URL accepts. */
const spellings = (number: number) => {
  const [a = 0, b = 0, c = 0, d = 0] = octetsOf(number)
  return [
    toText(number),
    String(number),
    `0x${number.toString(16)}`,
    `0${number.toString(8)}`,
    [a, b, c, d].map(part => `0x${part.toString(16)}`).join('.'),
    [a, b, c, d].map(part => `0${part.toString(8)}`).join('.'),
    `${a}.${b}.${c * 256 + d}`,
    `${a}.${(b * 256 + c) * 256 + d}`,
    `${toText(number)}.`,
    `[::ffff:${toText(number)}]`,
    `[::ffff:${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}]`,
    `[::${toText(number)}]`,
    `[64:ff9b::${toText(number)}]`,
    `[64:ff9b:1::${toText(number)}]`,
    `[2002:${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}::1]`,
    `[2001:0:${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}::1]`
  ]
}

const FORBIDDEN_V6 = [
  ...['::', '::1', 'fc00::1', 'fd00:ec2::254', 'fe80::1', 'fec0::1', 'ff02::1', '100::1', '2001:db8::1'],
  ...['3fff::1', '2001:10::1', '2001:20::1', '2001:2::1', '5f00::1', '2001::1', '4000::1']
]
const PUBLIC = ['8.8.8.8', '1.1.1.1', '100.63.255.255', '172.32.0.1', '2606:4700:4700::1111', '2a00:1450::1']

const never = () => Promise.reject(new Error('no DNS query expected'))
const guard = createAddressGuard(false, never)

describe('the address guard', () => {
  test('refuses every forbidden IPv4 address in every spelling', async () => {
    await fc.assert(
      fc.asyncProperty(forbiddenV4, fc.nat(), async (number, index) => {
        expect(isPublicAddress(toText(number))).toBe(false)
        const all = spellings(number)
        const url = `https://${all[index % all.length]}/hook`
        await expect(guard.check(url), url).rejects.toThrow(EndpointRefused)
        expect(() => guard.checkTarget(new URL(url)), url).toThrow(ForbiddenAddress)
      }),
      { numRuns: 2000 }
    )
  })

  test('refuses IPv6 addresses that are local, reserved or contain an IPv4 address', async () => {
    for (const address of FORBIDDEN_V6) {
      expect(isPublicAddress(address), address).toBe(false)
      await expect(guard.check(`https://[${address}]/`), address).rejects.toThrow(EndpointRefused)
    }
  })

  test('allows public addresses', async () => {
    for (const address of PUBLIC) {
      expect(isPublicAddress(address), address).toBe(true)
      await guard.check(`https://${address.includes(':') ? `[${address}]` : address}/`)
    }
  })

  test('refuses a name when one of its addresses is forbidden, and allows it when all are public', async () => {
    for (const [addresses, allowed] of [
      [['8.8.8.8', '2606:4700:4700::1111'], true],
      [['8.8.8.8', '127.0.0.1'], false],
      [['fd00:ec2::254', '8.8.8.8'], false],
      [['::ffff:10.0.0.1'], false]
    ] as const) {
      const named = createAddressGuard(false, async () => [...addresses])
      const checked = named.check('https://shop.example/')
      await (allowed ? checked : expect(checked).rejects.toThrow(/not public/))
      const looked = lookUp(named, {})
      await (allowed ? looked : expect(looked).rejects.toThrow(ForbiddenAddress))
    }
  })

  test('refuses a name without an address, http, a user, and a text that is no URL, each with its reason', async () => {
    const missing = createAddressGuard(false, async () => [])
    await expect(missing.check('https://nobody.example/')).rejects.toThrow(/no address in the DNS/)
    await expect(guard.check('http://shop.example/')).rejects.toThrow(/must begin with https/)
    await expect(guard.check('file:///etc/passwd')).rejects.toThrow(/must begin with https/)
    await expect(guard.check('https://user:secret@shop.example/')).rejects.toThrow(/user or a password/)
    await expect(guard.check('https://')).rejects.toThrow(/not valid/)
    expect(() => guard.checkTarget(new URL('http://shop.example/'))).toThrow(ForbiddenAddress)
  })

  test('allows every address and http where private addresses are allowed', async () => {
    const open = createAddressGuard(true, never)
    for (const url of ['http://127.0.0.1/', 'https://[::1]/', 'http://169.254.169.254/']) {
      await open.check(url)
      open.checkTarget(new URL(url))
    }
  })

  test('returns the addresses of a name in the form that the connection asks for', async () => {
    const named = createAddressGuard(false, async () => ['2606:4700::1', '8.8.8.8'])
    expect(await lookUp(named, { all: true })).toEqual([
      { address: '2606:4700::1', family: 6 },
      { address: '8.8.8.8', family: 4 }
    ])
    expect(await lookUp(named, { family: 4 })).toBe('8.8.8.8')
    expect(await lookUp(named, {})).toBe('2606:4700::1')
    const none = createAddressGuard(false, async () => [])
    await expect(lookUp(none, {})).rejects.toMatchObject({ code: 'ENOTFOUND' })
  })
})

function lookUp(
  { lookup }: Pick<typeof guard, 'lookup'>,
  options: { all?: boolean; family?: number }
): Promise<string | LookupAddress[]> {
  return new Promise((resolve, reject) => {
    lookup('shop.example', options, (error, found) => (error ? reject(error) : resolve(found)))
  })
}
