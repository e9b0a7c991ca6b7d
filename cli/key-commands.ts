import type { ApiKey, IssuedKey } from '../schema/http/key.ts'
import { type Command, onlyName, rejectNames, table, UsageError } from './command.ts'

/** The commands for API keys by their names. */
export const keyCommands: Record<string, Command> = {
  'keys list': async (client, args) => {
    rejectNames(args.ids)
    const page = await client.listKeys(args.after, Number(args.limit))
    if (page.keys.length === 0) return { data: page, text: 'There is no API key.' }
    const more = page.next === '' ? '' : `\nMore: --after ${page.next}`
    const head = ['id', 'name', 'tenant', 'scopes', 'state', 'expires', 'last used']
    return { data: page, text: table([head, ...page.keys.map(row)]) + more }
  },
  'keys create': async (client, { ids, name, tenant, scopes, expires, rate, reason }) => {
    rejectNames(ids)
    if (!name || !scopes)
      throw new UsageError('Set the --name and the --scopes of the key, such as orders:write,orders:read.')
    const issued = await client.createKey({
      name,
      scopes: scopes.split(',').map(scope => scope.trim()),
      ...(tenant !== undefined && { tenant }),
      ...(expires !== undefined && { expires_at: expires }),
      ...(rate !== undefined && { rate_limit: Number(rate) }),
      ...(reason !== undefined && { reason })
    })
    return { data: issued, text: `The key ${issued.id} is valid. ${shownOnce(issued)}` }
  },
  'keys rotate': async (client, { ids, keep, reason }) => {
    const issued = await client.rotateKey(onlyName(ids, 'Name one key by its id.'), keep, reason)
    return { data: issued, text: `The key ${issued.id} has a new secret. ${shownOnce(issued)}` }
  },
  'keys revoke': async (client, { ids, reason }) => {
    const revoked = await client.revokeKey(onlyName(ids, 'Name one key by its id.'), reason)
    return { data: revoked, text: `The key ${revoked.id} is revoked since ${revoked.revoked_at}.` }
  }
}

function shownOnce({ key }: IssuedKey): string {
  return `Copy it now, it is not shown again:\n${key}`
}

function row({
  id,
  name,
  tenant,
  scopes,
  expires_at,
  revoked_at,
  last_used_at,
  live_secrets
}: ApiKey): string[] {
  const valid = live_secrets === 1 ? 'valid' : `valid, ${live_secrets} secrets`
  const expired = expires_at !== null && Date.parse(expires_at) <= Date.now()
  const state = revoked_at === null ? (expired ? 'expired' : valid) : 'revoked'
  return [id, name, tenant, scopes.join(','), state, expires_at ?? '-', last_used_at ?? '-']
}
