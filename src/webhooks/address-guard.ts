import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { withDeadline } from '../async/deadline.ts'
import { DnsUnavailable, EndpointRefused } from './errors.ts'
import { createDnsResolve, type Resolve, resolveBySystem } from './resolve.ts'

/** An address to which the service does not connect. */
export class ForbiddenAddress extends Error {
  override name = 'ForbiddenAddress'
  readonly code = 'FORBIDDEN_ADDRESS'

  constructor() {
    super('webhooks are not sent to this address')
  }
}

/** Keeps webhooks from reaching this machine, private networks and the metadata of clouds. */
export interface AddressGuard {
  /**
   * Checks the URL of an endpoint, with all addresses that its host has now.
   * @throws {EndpointRefused} with the reason.
   * @throws {DnsUnavailable}
   */
  check: (url: string) => Promise<void>
  /**
   * Checks what `lookup` does not see: the scheme, and a host that is an address.
   * @throws {ForbiddenAddress}
   */
  checkTarget: (url: URL) => void
  /**
   * The `lookup` of connections. It fails with {ForbiddenAddress} when any address of the host is forbidden. The
   * connection uses the addresses that it returns, so a later answer of the DNS changes nothing.
   */
  lookup: LookupFunction
}

/** Global unicast: all other IPv6 addresses are local, reserved, or contain an IPv4 address. */
const GLOBAL_V6 = ipaddr.parseCIDR('2000::/3')

/** Addresses that look public and are not: the documentation range of RFC 9637, and the host agent of Azure. */
const NOT_PUBLIC = ['3fff::/20', '168.63.129.16/32'].map(range => ipaddr.parseCIDR(range))

/** The longest time that the check of a new endpoint waits for the DNS (ms). */
const CHECK_WITHIN = 5000

/** Returns whether an address is public. Returns false for a text that is no address. */
export function isPublicAddress(text: string): boolean {
  if (!ipaddr.isValid(text) || isIP(text) === 0) return false
  const address = ipaddr.parse(text)
  if (address.range() !== 'unicast') return false
  const inRange = (range: [ipaddr.IPv4 | ipaddr.IPv6, number]) =>
    address.kind() === range[0].kind() && address.match(range)
  if (address.kind() === 'ipv6' && !inRange(GLOBAL_V6)) return false
  return !NOT_PUBLIC.some(inRange)
}

/**
 * Creates the guard. With `allowPrivate`, every address and http are allowed. `resolve` is for tests: by default the
 * guard asks the DNS, and with `allowPrivate` the system.
 */
export function createAddressGuard(allowPrivate: boolean, resolve?: Resolve): AddressGuard {
  const addressesOf = resolve ?? (allowPrivate ? resolveBySystem : createDnsResolve())
  const isAllowed = (address: string) => allowPrivate || isPublicAddress(address)
  const allAllowed = async (host: string) => {
    const addresses = await addressesOf(host)
    if (!addresses.every(isAllowed)) throw new ForbiddenAddress()
    return addresses
  }
  return {
    check: async text => {
      const url = checkForm(text, allowPrivate)
      const host = hostOf(url)
      const addresses = isIP(host) === 0 ? await resolveInTime(addressesOf, host) : [host]
      if (!addresses.every(isAllowed))
        throw new EndpointRefused(
          'The host of the URL has an address that is not public, such as one of this machine or of a private network.'
        )
    },
    checkTarget: url => {
      const host = hostOf(url)
      if (!hasAllowedScheme(url, allowPrivate)) throw new ForbiddenAddress()
      if (isIP(host) !== 0 && !isAllowed(host)) throw new ForbiddenAddress()
    },
    lookup: (host, { all, family }, done) => {
      const report = (addresses: string[]) => {
        const wanted = family === 4 || family === 'IPv4' ? 4 : family === 6 || family === 'IPv6' ? 6 : 0
        const found = addresses
          .map(address => ({ address, family: isIP(address) }))
          .filter(each => wanted === 0 || each.family === wanted)
        const [first] = found
        if (!first) done(Object.assign(new Error('the host has no address'), { code: 'ENOTFOUND' }), '')
        else if (all) done(null, found)
        else done(null, first.address, first.family)
      }
      allAllowed(host).then(report, error => done(error, ''))
    }
  }
}

/** Returns the host of a URL, without the brackets of an IPv6 address. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '')
}

function hasAllowedScheme({ protocol }: URL, allowPrivate: boolean): boolean {
  return protocol === 'https:' || (allowPrivate && protocol === 'http:')
}

/** @throws {EndpointRefused} for a URL that no delivery could use. */
function checkForm(text: string, allowPrivate: boolean): URL {
  const url = URL.parse(text)
  if (!url) throw new EndpointRefused('The URL is not valid.')
  if (!hasAllowedScheme(url, allowPrivate)) throw new EndpointRefused('The URL must begin with https://.')
  if (url.username !== '' || url.password !== '')
    throw new EndpointRefused('The URL must not have a user or a password.')
  return url
}

/** @throws {EndpointRefused} when the host has no address. @throws {DnsUnavailable} when none is found in time. */
async function resolveInTime(resolve: Resolve, host: string): Promise<string[]> {
  const unavailable = (cause?: unknown) => {
    throw new DnsUnavailable(host, { cause })
  }
  const found = resolve(host).catch(unavailable)
  const addresses = await withDeadline(found, { after: CHECK_WITHIN, late: () => unavailable() })
  if (addresses.length === 0) throw new EndpointRefused(`The host ${host} has no address in the DNS.`)
  return addresses
}
