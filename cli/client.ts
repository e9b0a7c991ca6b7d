import { TOKEN_PATTERN } from '../schema/http/admin-token.ts'
import type { Acknowledged, Audit } from '../schema/http/audit.ts'
import type { DeadLetter, Dealt } from '../schema/http/dead-letter.ts'
import type { Forgotten } from '../schema/http/function.ts'
import type { Problem } from '../schema/http/problem.ts'
import { problemType } from '../schema/http/problem-types.ts'

/** The service refused, or is not there; the message says what to do. */
export class AdminError extends Error {
  override name = 'AdminError'
}

/** What operators do, over HTTP. */
export interface AdminClient {
  audit: () => Promise<Audit>
  acknowledge: (reason: string) => Promise<Acknowledged>
  list: (name: string, after: string, limit: number) => Promise<{ dead_letters: DeadLetter[]; next: string }>
  show: (name: string, id: string) => Promise<DeadLetter>
  redrive: (name: string, ids: string[] | undefined, rate: number | undefined) => Promise<Dealt>
  discard: (name: string, ids: string[], reason: string) => Promise<Dealt>
  forget: (name: string) => Promise<Forgotten>
}

/**
 * `url` is where an api listens, `token` its ADMIN_TOKEN.
 * @throws {AdminError} when one of them cannot be that.
 */
export function createAdminClient(url: string, token: string): AdminClient {
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? ''))
    throw new AdminError(
      `The api cannot be at ${JSON.stringify(url)}: --url takes one as http://127.0.0.1:3000.`
    )
  if (token === '')
    throw new AdminError(
      'No token: set ADMIN_TOKEN here to what it is for the api (export ADMIN_TOKEN=…), or name it with --token.'
    )
  if (!RegExp(TOKEN_PATTERN).test(token))
    throw new AdminError(
      'The token has a space at an end, or a character beyond ASCII: no ADMIN_TOKEN has that.'
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
      throw new AdminError(`Nothing answers at ${url}. Name the api with --url.`, { cause })
    })
    if (!response.ok) throw new AdminError(await explain(response))
    return (await response.json().catch(cause => {
      throw new AdminError(`What answers at ${url} is no Orderstream api.`, { cause })
    })) as T
  }
  return {
    audit: () => call('/admin/audit'),
    acknowledge: reason => call('/admin/audit/acknowledge', { reason }),
    list: (name, after, limit) =>
      call(`/admin/dead-letters?${new URLSearchParams({ function: name, after, limit: String(limit) })}`),
    show: (name, id) => call(`/admin/dead-letters/${encodeURIComponent(name)}/${encodeURIComponent(id)}`),
    redrive: (name, ids, rate) =>
      call('/admin/dead-letters/redrive', {
        function: name,
        ...(ids && { ids }),
        ...(rate !== undefined && { rate })
      }),
    discard: (name, ids, reason) => call('/admin/dead-letters/discard', { function: name, ids, reason }),
    forget: name => call(`/admin/functions/${encodeURIComponent(name)}`, undefined, 'DELETE')
  }
}

/** Returns what to do about a refusal. */
async function explain(response: Response): Promise<string> {
  const problem = (await response.json().catch(() => undefined)) as Problem | undefined
  if (!problem) return `The answer was ${response.status}. Is this an Orderstream api?`
  if (problem.type === problemType('route-not-found'))
    return 'The api serves no /admin routes: start it with ADMIN_TOKEN.'
  if (problem.type === problemType('unauthorized'))
    return 'The api refuses the token: it was started with another ADMIN_TOKEN. Set that one here, or name it with --token.'
  const faults = problem.errors?.map(({ pointer, detail }) => `${pointer} ${detail}`) ?? []
  return [problem.detail, ...faults].join('\n')
}
