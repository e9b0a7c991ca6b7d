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

/** What the service says of itself at `GET /admin/audit`: the numbers alone, which at rest do not change. */
export type Audit = Record<(typeof numbers)[number], number>

/** Asks for the audit; gives undefined when there is no answer, or one that lacks a number. */
export async function fetchAudit(clients: Client[], token: string): Promise<Audit | undefined> {
  for (const client of clients) {
    try {
      const { status, text } = await client.get('/admin/audit', { authorization: `Bearer ${token}` })
      const said = JSON.parse(text) as Audit
      if (status === 200 && numbers.every(name => Number.isFinite(said[name])))
        return Object.fromEntries(numbers.map(name => [name, said[name]])) as Audit
    } catch {
      // The other one may answer.
    }
  }
  return undefined
}
