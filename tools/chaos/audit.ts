import type { Client } from './client.ts'

const numbers = [
  'accepted',
  'duplicates',
  'completed',
  'failed',
  'in_flight',
  'retrying',
  'conflicts',
  'lost',
  'dead_letters',
  'difference'
] as const

/** The numbers of `GET /admin/audit`; at rest they do not change. */
export type Audit = Record<(typeof numbers)[number], number>

/** Fetches the audit from the first api that answers; undefined when none returns every number. */
export async function fetchAudit(clients: Client[], token: string): Promise<Audit | undefined> {
  for (const client of clients) {
    try {
      const { status, text } = await client.get('/admin/audit', { authorization: `Bearer ${token}` })
      const answer = JSON.parse(text) as Audit
      if (status === 200 && numbers.every(name => Number.isFinite(answer[name])))
        return Object.fromEntries(numbers.map(name => [name, answer[name]])) as Audit
    } catch {
      // The other api may answer.
    }
  }
  return undefined
}
