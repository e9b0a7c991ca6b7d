import { Readable } from 'node:stream'

/** The media type of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
export const EVENT_STREAM = 'text/event-stream; charset=utf-8'

/** The pause between two heartbeats (ms). Proxies close a connection that is silent for a minute or less. */
const HEARTBEAT = 15_000

/** The number of heartbeats for which a client may read nothing. After that its connection is closed. */
const MOST_SILENT = 4

/** How long a client may take to read the rest of a stream that has ended (ms). */
const LAST_READ = 3000

/** The shortest and the longest pause after which a client connects again (ms). It is random: not all come at once. */
const RETRY = { shortest: 200, longest: 1200 }

/** The source of a stream. */
export interface EventSource {
  /** Returns the next frame; undefined when there is none yet. */
  next: () => string | undefined
  /** Returns what a heartbeat sends. */
  heartbeat: () => string
  /** Called once, when the stream has ended or its client is gone. */
  onClose: () => void
}

/** An event of a stream. Its data is one line. */
export interface ServerSentEvent {
  id: string
  event: string
  data: string
}

/** Renders an event. */
export function renderEvent({ id, event, data }: ServerSentEvent): string {
  return `id: ${id}\nevent: ${event}\ndata: ${data}\n\n`
}

/** Renders an id alone. The client remembers it, and dispatches no event. */
export function renderId(id: string): string {
  return `id: ${id}\n\n`
}

/** The body of an answer with server-sent events. It has no more in memory than its client can take. */
export class EventStream extends Readable {
  readonly #source: EventSource
  readonly #timer: NodeJS.Timeout
  #wanted = false
  #ended = false
  #silent = 0

  constructor(source: EventSource) {
    super()
    this.#source = source
    const { shortest, longest } = RETRY
    this.push(`retry: ${Math.round(shortest + Math.random() * (longest - shortest))}\n\n`)
    this.#timer = setInterval(() => this.#beat(), HEARTBEAT)
  }

  /** Sends a text. Does nothing after the end. */
  send(text: string): void {
    if (!this.#ended) this.push(text)
  }

  /** Sends what the source has now. */
  wake(): void {
    if (this.#wanted && !this.#ended) this._read()
  }

  /** Ends the stream after what the source still has. */
  end(): void {
    if (this.destroyed || this.#ended) return
    this.wake()
    this.#ended = true
    clearInterval(this.#timer)
    this.push(null)
    // A client that reads nothing must not delay a stop.
    setTimeout(() => this.destroy(), LAST_READ).unref()
  }

  override _read(): void {
    if (this.#ended) return
    for (let frame = this.#source.next(); frame !== undefined; frame = this.#source.next()) {
      this.#wanted = this.push(frame)
      if (!this.#wanted) return
    }
    this.#wanted = true
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearInterval(this.#timer)
    this.#source.onClose()
    done(error)
  }

  #beat(): void {
    if (this.#wanted) {
      this.#silent = 0
      this.#wanted = this.push(this.#source.heartbeat())
    } else if (++this.#silent === MOST_SILENT) this.destroy()
  }
}
