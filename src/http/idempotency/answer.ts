import type { FastifyReply } from 'fastify'
import type { StoredAnswer } from '../../idempotency/key-table.ts'

/** The headers of an answer that a replay repeats. The other headers belong to one request. */
const REPEATED = ['content-type', 'location', 'link', 'etag', 'preference-applied']

/** The header of a replay. */
const REPLAYED = 'idempotent-replayed'

/**
 * Returns the answer of a request as it is stored, without the fields `without` of its JSON. Returns undefined for an
 * answer that cannot be stored: it is not text, or fields cannot be removed because it is not a JSON object.
 */
export function toStoredAnswer(
  reply: FastifyReply,
  payload: unknown,
  without: readonly string[]
): StoredAnswer | undefined {
  const body = bodyOf(payload, without)
  if (body === undefined) return undefined
  const headers: Record<string, string> = {}
  for (const name of REPEATED) {
    const value = reply.getHeader(name)
    if (value !== undefined) headers[name] = String(value)
  }
  return { status: reply.statusCode, headers, body }
}

/** Sends a stored answer. */
export function sendReplay(reply: FastifyReply, { status, headers, body }: StoredAnswer): FastifyReply {
  return reply.code(status).headers(headers).header(REPLAYED, 'true').send(body)
}

function bodyOf(payload: unknown, without: readonly string[]): string | undefined {
  if (payload === undefined || payload === null) return ''
  if (typeof payload !== 'string') return undefined
  return without.length === 0 ? payload : removeFields(payload, without)
}

function removeFields(text: string, names: readonly string[]): string | undefined {
  let fields: unknown
  try {
    fields = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) return undefined
  const kept = Object.entries(fields).filter(([name]) => !names.includes(name))
  return JSON.stringify(Object.fromEntries(kept))
}
