import type { Config } from '../../../schema/config/env.ts'

/** The address of a server: `host:port`. An IPv6 host has no brackets. */
export type Address = string

/** Makes an address. */
export function toAddress(host: string, port: number): Address {
  return `${host}:${port}`
}

/** Returns the host and the port of an address. */
export function parseAddress(address: Address): { host: string; port: number } {
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) }
}

/** Returns the addresses in REDIS_HOST. REDIS_PORT is the port of those without one. */
export function configuredAddresses({ REDIS_HOST, REDIS_PORT }: Config): Address[] {
  return parseList(REDIS_HOST, REDIS_PORT)
}

/** Parses a list of `host` and `host:port`. `defaultPort` is the port of those without one. */
export function parseList(list: string, defaultPort: number): Address[] {
  return list.split(',').map(part => {
    const text = part.trim()
    const [, bracketed, host, port] = /^(?:\[(.+)\]|([^:]+))(?::(\d+))?$/.exec(text) ?? []
    return toAddress(bracketed ?? host ?? text, Number(port ?? defaultPort))
  })
}
