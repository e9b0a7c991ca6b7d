let at = 0
let text = ''

/** The later of two times, both UTC ISO 8601 with milliseconds: the clocks of two machines may differ. */
export function later(a: string, b: string): string {
  return a < b ? b : a
}

/** Now, as UTC ISO 8601 with milliseconds. The text is made once for each millisecond. */
export function isoNow(): string {
  const now = Date.now()
  if (now !== at) {
    at = now
    text = new Date(now).toISOString()
  }
  return text
}
