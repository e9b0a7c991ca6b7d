/** What a stream has sent: an event, or a position alone. */
export interface Frame {
  /** The last `id` that the stream has sent; empty before the first one. */
  id: string
  /** The type of the event; undefined for a position alone. */
  event: string | undefined
  data: string
}

const LINE_END = /\r\n|\n|\r/g

/**
 * Parses server-sent events from the chunks of a body, wherever they are cut
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html).
 */
export class EventParser {
  readonly #decoder = new TextDecoder()
  #rest = ''
  #skipsNewline = false
  #id = ''
  #event = ''
  #data: string[] = []
  #retry: number | undefined

  /** The pause before the next connection that the stream has asked for (ms); undefined when it has not. */
  get retry(): number | undefined {
    return this.#retry
  }

  /** Returns the frames that are complete with this chunk. */
  push(chunk: Uint8Array): Frame[] {
    let text = this.#decoder.decode(chunk, { stream: true })
    if (text === '') return []
    // The CR at the end of the chunk before was half of this line end.
    if (this.#skipsNewline && text.startsWith('\n')) text = text.slice(1)
    this.#skipsNewline = text.endsWith('\r')
    const scanned = this.#rest.length
    text = this.#rest + text
    const frames: Frame[] = []
    let begin = 0
    LINE_END.lastIndex = scanned
    for (let end = LINE_END.exec(text); end; end = LINE_END.exec(text)) {
      const frame = this.#line(text.slice(begin, end.index))
      if (frame) frames.push(frame)
      begin = LINE_END.lastIndex
    }
    this.#rest = text.slice(begin)
    return frames
  }

  #line(line: string): Frame | undefined {
    if (line === '') return this.#dispatch()
    const colon = line.indexOf(':')
    const name = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (name === 'data') this.#data.push(value)
    else if (name === 'event') this.#event = value
    else if (name === 'id' && !value.includes('\0')) this.#id = value
    else if (name === 'retry' && /^\d+$/.test(value)) this.#retry = Number(value)
    return undefined
  }

  #dispatch(): Frame {
    const frame = {
      id: this.#id,
      event: this.#data.length === 0 ? undefined : this.#event || 'message',
      data: this.#data.join('\n')
    }
    this.#event = ''
    this.#data = []
    return frame
  }
}
