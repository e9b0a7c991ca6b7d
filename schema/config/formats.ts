import { isIP } from 'node:net'

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/

/** The formats of variables: the check, and the text of the error when it fails. */
export const FORMATS: Record<string, { expected: string; check: (text: string) => boolean }> = {
  addresses: {
    expected: 'must be a list of IP addresses or CIDR ranges with commas between them',
    check: text => text === '' || text.split(',').every(part => isRange(part.trim()))
  },
  'base-url': {
    expected: 'must be an http or https URL without a query or a fragment',
    check: text => text === '' || (/^https?:\/\/[^?#\s]+$/.test(text) && URL.canParse(text))
  },
  'key-set-url': {
    expected: 'must be an https URL, or an http URL of this machine',
    check: text => {
      const url = URL.parse(text)
      return url?.protocol === 'https:' || (url?.protocol === 'http:' && LOOPBACK.test(url.hostname))
    }
  },
  origins: {
    expected: 'must be a list of origins such as https://shop.example with commas between them, or *',
    check: text => text === '' || text === '*' || text.split(',').every(part => isOrigin(part.trim()))
  },
  host: {
    expected: 'must be a name or an address alone, without a scheme, a port or brackets',
    check: isHost
  },
  hosts: {
    expected:
      'must be a name or an address alone, without a scheme, a port or brackets; with REDIS_CLUSTER=true, it may be a list of `host` or `host:port` with commas between them',
    check: text => isHost(text) || text.split(',').every(part => isServer(part.trim()))
  }
}

function isHost(text: string): boolean {
  return isIP(text) !== 0 || !/[\s:/[\],]/.test(text)
}

function isServer(text: string): boolean {
  const [, bracketed, host, port = '1'] = /^(?:\[(.+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const named = bracketed === undefined ? host !== undefined && isHost(host) : isIP(bracketed) === 6
  return named && Number(port) >= 1 && Number(port) <= 65_535
}

function isOrigin(text: string): boolean {
  return URL.parse(text)?.origin === text
}

function isRange(text: string): boolean {
  const [address = '', prefix, ...more] = text.split('/')
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1
  if (bits < 0 || more.length > 0) return false
  // The prefix 0 is invalid. Fastify rejects it, because with it every client could choose its own address.
  return prefix === undefined || (/^[1-9]\d{0,2}$/.test(prefix) && Number(prefix) <= bits)
}
