let formattedAt = 0
let formatted = ''

/** Returns the later of two times, both in UTC ISO 8601 with milliseconds. The clocks of two machines may differ. */
export function later(a: string, b: string): string {
  return a < b ? b : a
}

/** Returns the time now, in UTC ISO 8601 with milliseconds. Formats it once for each millisecond. */
export function isoNow(): string {
  const now = Date.now()
  if (now !== formattedAt) {
    formattedAt = now
    formatted = new Date(now).toISOString()
  }
  return formatted
}
