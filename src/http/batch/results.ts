import type { ServerResponse } from 'node:http'

/**
 * The size of the parts that are written at once (characters). A slow client has to read one part in time, not
 * everything that waits.
 */
const PART = 64 * 1024

/**
 * How long a result may wait for others to fill a part, while orders are in flight (ms). Each write wakes the client, which
 * costs as much as many orders.
 */
const LONGEST_WAIT = 20

/**
 * Writes the results of a batch. What the client does not read yet waits here, part by part, so that each part that the
 * client has read counts as progress.
 */
export class Results {
  readonly #response: ServerResponse
  readonly #moved: () => void
  /** The full parts that are not written yet. The text of a part takes a quarter of the memory of its lines. */
  #parts: string[] = []
  /** The lines after them, and their length. */
  #lines: string[] = []
  #lineLength = 0
  /** The length of all of it. */
  #length = 0
  #timer: NodeJS.Timeout | undefined
  #isBlocked = false
  #isClosed = false
  #isComplete = false

  /** `moved` is called when the client has read a part. */
  constructor(response: ServerResponse, moved: () => void) {
    this.#response = response
    this.#moved = moved
    response.on('drain', this.#drain)
  }

  /** What the client has not read yet, without what the operating system holds (about the bytes). */
  get unsent(): number {
    return this.#isClosed ? 0 : this.#length + this.#response.writableLength
  }

  /** Adds some lines. Drops them when the client is gone. With `more`, further lines follow soon. */
  write(lines: string[], more: boolean): void {
    if (this.#isClosed) return
    for (const line of lines) {
      this.#lines.push(line)
      this.#lineLength += line.length
      this.#length += line.length
      if (this.#lineLength >= PART) this.#parts.push(this.#joinLines())
    }
    if (!more || this.#length >= PART) this.#send()
    else this.#timer ??= setTimeout(this.#send, LONGEST_WAIT)
  }

  /** Ends the answer after the last line. */
  end(): void {
    if (this.#isComplete || this.#isClosed) return
    this.#isComplete = true
    this.#send()
  }

  /** Drops everything that is not written yet, and everything later: the client is gone. */
  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#parts = []
    this.#lines = []
  }

  #drain = () => {
    this.#isBlocked = false
    this.#send()
    this.#moved()
  }

  #send = () => {
    if (this.#isClosed) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    while (!this.#isBlocked && this.#length > 0) {
      const part = this.#parts.shift() ?? this.#joinLines()
      this.#length -= part.length
      this.#isBlocked = !this.#response.write(part)
    }
    if (this.#isComplete && this.#length === 0) this.#response.end()
  }

  #joinLines(): string {
    const text = this.#lines.join('')
    this.#lines = []
    this.#lineLength = 0
    return text
  }
}
