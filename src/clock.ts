let at = 0
let text = ''

/** Now, as UTC ISO 8601 with milliseconds. The text is made once for each millisecond. */
export function isoNow(): string {
  const now = Date.now()
  if (now !== at) {
    at = now
    text = new Date(now).toISOString()
  }
  return text
}
