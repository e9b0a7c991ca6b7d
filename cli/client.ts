import type { AdminActionPage } from '../schema/http/admin-action.ts'
import { TOKEN_PATTERN } from '../schema/http/admin-token.ts'
import type { Acknowledged, Audit } from '../schema/http/audit.ts'
import type { DeadLetter, Dealt } from '../schema/http/dead-letter.ts'
import type { Forgotten } from '../schema/http/function.ts'
import type { IssuedKey, KeyPage, RevokedKey } from '../schema/http/key.ts'
import type { Problem } from '../schema/http/problem.ts'
import { problemType } from '../schema/http/problem-types.ts'
import type { RedisRelease } from '../schema/http/redis-release.ts'
import type { NewTaxRate, TaxRate } from '../schema/http/tax-rate.ts'

/** The service refuses a request or does not answer. The message is advice for the operator. */
export class AdminError extends Error {
  override name = 'AdminError'
}

/** Why an operator does something, for the log of admin actions. */
type Why = string | undefined

/** A client of the admin routes of the service. */
export interface AdminClient {
  actions: (after: string, limit: number) => Promise<AdminActionPage>
  audit: () => Promise<Audit>
  acknowledge: (reason: string) => Promise<Acknowledged>
  list: (name: string, after: string, limit: number) => Promise<{ dead_letters: DeadLetter[]; next: string }>
  show: (name: string, id: string) => Promise<DeadLetter>
  redrive: (name: string, ids: string[] | undefined, rate: number | undefined, reason: Why) => Promise<Dealt>
  discard: (name: string, ids: string[], reason: string) => Promise<Dealt>
  forget: (name: string, reason: Why) => Promise<Forgotten>
  release: (reason: Why) => Promise<RedisRelease>
  listTaxRates: () => Promise<{ tax_rates: TaxRate[] }>
  setTaxRate: (rate: NewTaxRate) => Promise<TaxRate>
  listKeys: (after: string, limit: number) => Promise<KeyPage>
  /** The api checks the names of the scopes. */
  createKey: (key: {
    name: string
    tenant?: string
    scopes: string[]
    expires_at?: string
    rate_limit?: number
    reason?: string
  }) => Promise<IssuedKey>
  /** `keep`: how long the previous secret stays valid, in seconds. */
  rotateKey: (id: string, keep: string | undefined, reason: Why) => Promise<IssuedKey>
  revokeKey: (id: string, reason: Why) => Promise<RevokedKey>
}

/**
 * Creates a client of the api at `url` with its ADMIN_TOKEN or an API key.
 * @throws {AdminError} when the URL or the token is invalid.
 */
export function createAdminClient(url: string, token: string): AdminClient {
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? ''))
    throw new AdminError(
      `${JSON.stringify(url)} is not a URL of an api: --url takes a URL such as http://127.0.0.1:3000.`
    )
  if (token === '')
    throw new AdminError(
      'No token: set ADMIN_TOKEN to the value that the api has (export ADMIN_TOKEN=…), or use --token with it or an API key.'
    )
  if (!RegExp(TOKEN_PATTERN).test(token))
    throw new AdminError(
      'The token begins or ends with a space, or has a character beyond ASCII: no ADMIN_TOKEN and no API key does.'
    )

  const call = async <T>(path: string, body?: unknown, method = body === undefined ? 'GET' : 'POST') => {
    const response = await fetch(url.replace(/\/+$/, '') + path, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { 'content-type': 'application/json' })
      },
      ...(body !== undefined && { body: JSON.stringify(body) })
    }).catch(cause => {
      throw new AdminError(`Nothing answers at ${url}. Set the URL of the api with --url.`, { cause })
    })
    if (!response.ok) throw new AdminError(await explain(response))
    return (await response.json().catch(cause => {
      throw new AdminError(`The server at ${url} is not an Orderstream api.`, { cause })
    })) as T
  }
  return {
    actions: (after, limit) => call(`/admin/actions?${new URLSearchParams({ after, limit: String(limit) })}`),
    audit: () => call('/admin/audit'),
    acknowledge: reason => call('/admin/audit/acknowledge', { reason }),
    list: (name, after, limit) =>
      call(`/admin/dead-letters?${new URLSearchParams({ function: name, after, limit: String(limit) })}`),
    show: (name, id) => call(`/admin/dead-letters/${encodeURIComponent(name)}/${encodeURIComponent(id)}`),
    redrive: (name, ids, rate, reason) =>
      call('/admin/dead-letters/redrive', {
        function: name,
        ...(ids && { ids }),
        ...(rate !== undefined && { rate }),
        ...(reason !== undefined && { reason })
      }),
    discard: (name, ids, reason) => call('/admin/dead-letters/discard', { function: name, ids, reason }),
    forget: (name, reason) =>
      call(`/admin/functions/${encodeURIComponent(name)}${queryOf({ reason })}`, undefined, 'DELETE'),
    release: reason => call(`/admin/redis/release${queryOf({ reason })}`, undefined, 'POST'),
    listTaxRates: () => call('/admin/tax-rates'),
    setTaxRate: rate => call('/admin/tax-rates', rate, 'PUT'),
    listKeys: (after, limit) => call(`/admin/keys?${new URLSearchParams({ after, limit: String(limit) })}`),
    createKey: key => call('/admin/keys', key),
    rotateKey: (id, keep, reason) => {
      const query = queryOf({ keep_seconds: keep, reason })
      return call(`/admin/keys/${encodeURIComponent(id)}/rotate${query}`, undefined, 'POST')
    },
    revokeKey: (id, reason) =>
      call(`/admin/keys/${encodeURIComponent(id)}${queryOf({ reason })}`, undefined, 'DELETE')
  }
}

/** Returns a query with the parameters that have a value. */
function queryOf(parameters: Record<string, string | undefined>): string {
  const set = Object.entries(parameters).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return set.length === 0 ? '' : `?${new URLSearchParams(set)}`
}

async function explain(response: Response): Promise<string> {
  const problem = (await response.json().catch(() => undefined)) as Problem | undefined
  if (!problem) return `The answer was ${response.status}. Is this an Orderstream api?`
  if (problem.type === problemType('route-not-found'))
    return 'The api serves no /admin routes: start it with ADMIN_TOKEN, or with AUTH=on.'
  if (problem.type === problemType('unauthorized'))
    return 'The api refuses the token: it has another ADMIN_TOKEN, and no such API key. Set the right one, or use --token.'
  const faults = problem.errors?.map(({ pointer, detail }) => `${pointer} ${detail}`) ?? []
  return [problem.detail, ...faults].join('\n')
}
