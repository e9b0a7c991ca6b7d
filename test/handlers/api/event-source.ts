/** An event of a stream, as a browser dispatches it. */
export interface Received {
  id: string
  event: string
  data: Record<string, unknown>
}

/** A client of server-sent events. */
export interface EventClient {
  status: number
  headers: Headers
  /** The events so far. */
  events: Received[]
  /** The id that the client would send as Last-Event-ID. */
  lastId: () => string
  /** Resolves when the service has ended the stream. Rejects when the connection was cut. */
  ended: Promise<void>
  close: () => void
}

/** Opens a stream of server-sent events, by the rules of the HTML standard for its lines. */
export async function openEvents(url: string, headers: Record<string, string> = {}): Promise<EventClient> {
  const leaving = new AbortController()
  const response = await fetch(url, { headers, signal: leaving.signal })
  const events: Received[] = []
  let lastId = headers['last-event-id'] ?? ''
  const read = async () => {
    let rest = ''
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const blocks = (rest + chunk).split('\n\n')
      rest = blocks.pop() as string
      for (const block of blocks) {
        const fields = Object.fromEntries(block.split('\n').map(line => line.split(/: (.*)/s, 2)))
        lastId = fields.id ?? lastId
        if (fields.data !== undefined)
          events.push({ id: lastId, event: fields.event, data: JSON.parse(fields.data) })
      }
    }
  }
  const ended = read()
  ended.catch(() => {})
  return {
    status: response.status,
    headers: response.headers,
    events,
    lastId: () => lastId,
    ended,
    close: () => leaving.abort()
  }
}
