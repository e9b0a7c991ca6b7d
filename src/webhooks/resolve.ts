import { lookup, Resolver } from 'node:dns/promises'

/** Returns the addresses of a host name; none when the host has none. Fails when the DNS cannot answer now. */
export type Resolve = (host: string) => Promise<string[]>

/** How long one query may take, and how many servers are asked in turn. */
const QUERY = { timeout: 2000, tries: 2 }

/** The codes of errors that mean that a host has no address: asking again would change nothing. */
const NO_ADDRESS = ['ENOTFOUND', 'ENODATA', 'EBADNAME', 'EINVAL']

/**
 * Creates a resolver that sends DNS queries itself. The resolver of the system would use one of the few threads of the
 * process for each name, so the slow DNS of one tenant would delay all others. It does not read the hosts file.
 */
export function createDnsResolve(): Resolve {
  const resolver = new Resolver(QUERY)
  return async host => {
    const answers = await Promise.allSettled([
      orNone(resolver.resolve4(host)),
      orNone(resolver.resolve6(host))
    ])
    const found = answers.flatMap(each => (each.status === 'fulfilled' ? each.value : []))
    const failed = answers.find(({ status }) => status === 'rejected')
    if (found.length === 0 && failed?.status === 'rejected') throw failed.reason
    return found
  }
}

/** Resolves a name as the system does, with the hosts file. For private networks. */
export const resolveBySystem: Resolve = async host =>
  (await orNone(lookup(host, { all: true }))).map(({ address }) => address)

/** Returns no address when that is the answer of the DNS. */
function orNone<T>(answer: Promise<T[]>): Promise<T[]> {
  return answer.catch((error: NodeJS.ErrnoException) => {
    if (NO_ADDRESS.includes(error.code ?? '')) return []
    throw error
  })
}
