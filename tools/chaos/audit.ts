import type { Client } from './client.ts'

const numbers = [
  'accepted',
  'duplicates',
  'completed',
  'failed',
  'cancelled',
  'in_flight',
  'retrying',
  'conflicts',
  'lost',
  'dead_letters',
  'difference'
] as const

/** The numbers of `GET /admin/audit`. They do not change when no work is left. */
export type Audit = Record<(typeof numbers)[number], number>

/** Fetches the audit from the first api that returns every number. Returns undefined if no api does. */
export async function fetchAudit(clients: Client[], token: string): Promise<Audit | undefined> {
  for (const client of clients) {
    try {
      const { status, text } = await client.get('/admin/audit', { authorization: `Bearer ${token}` })
      const answer = JSON.parse(text) as Audit
      if (status === 200 && numbers.every(name => Number.isFinite(answer[name])))
        return Object.fromEntries(numbers.map(name => [name, answer[name]])) as Audit
    } catch {
      // Tries the next api.
    }
  }
  return undefined
}
