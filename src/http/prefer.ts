/** The preferences of a request that the service honors (RFC 7240). */
export interface Preferences {
  /** The longest time that the client wants to wait (s); undefined without the preference. */
  wait: number | undefined
  /** Whether the client wants the document of each order: `return=representation`. */
  representation: boolean
}

const NONE: Preferences = { wait: undefined, representation: false }

/** One preference of the header, without its parameters. */
const PREFERENCE = /^\s*([\w!#$%&'*+.^`|~-]+)\s*(?:=\s*"?([^";]*)"?)?/

/**
 * Reads the header `Prefer`. Ignores what it does not know or cannot read, as RFC 7240 requires. If a preference appears
 * more than once, the first one counts.
 */
export function readPreferences(header: string | string[] | undefined): Preferences {
  if (header === undefined) return NONE
  const known = new Map<string, string>()
  for (const text of String(header).split(',')) {
    const [, name = '', value = ''] = PREFERENCE.exec(text) ?? []
    if (!known.has(name.toLowerCase())) known.set(name.toLowerCase(), value.trim())
  }
  const wait = known.get('wait') ?? ''
  return {
    wait: /^\d{1,9}$/.test(wait) ? Number(wait) : undefined,
    representation: known.get('return') === 'representation'
  }
}
