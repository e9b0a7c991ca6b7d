import { lookup, Resolver } from 'node:dns/promises'

/** Returns the addresses of a host name, at least one. Fails when there is none. */
export type Resolve = (host: string) => Promise<string[]>

/** How long one query may take, and how many servers are asked in turn. */
const QUERY = { timeout: 2000, tries: 2 }

/**
 * Creates a resolver that sends DNS queries itself. The resolver of the system would use one of the few threads of the
 * process for each name, so the slow DNS of one tenant would delay all others. It does not read the hosts file.
 */
export function createDnsResolve(): Resolve {
  const resolver = new Resolver(QUERY)
  return async host => {
    const [four, six] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)])
    const found = [four, six].flatMap(each => (each.status === 'fulfilled' ? each.value : []))
    if (found.length === 0 && four.status === 'rejected') throw four.reason
    return found
  }
}

/** Resolves a name as the system does, with the hosts file. For private networks. */
export const resolveBySystem: Resolve = async host =>
  (await lookup(host, { all: true })).map(({ address }) => address)
