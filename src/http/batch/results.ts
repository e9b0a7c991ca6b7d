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
  /** The lines that are not written yet, and their length. */
  #lines: string[] = []
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
    response.once('close', () => {
      this.#isClosed = true
      clearTimeout(this.#timer)
      this.#lines = []
    })
  }

  /** What the client has not read yet, without what the operating system holds (about the bytes). */
  get unsent(): number {
    return this.#length + this.#response.writableLength
  }

  /** Adds some lines. Drops them when the client is gone. With `more`, further lines follow soon. */
  write(lines: string[], more: boolean): void {
    if (this.#isClosed) return
    for (const line of lines) {
      this.#lines.push(line)
      this.#length += line.length
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

  #drain = () => {
    this.#isBlocked = false
    this.#send()
    this.#moved()
  }

  #send = () => {
    clearTimeout(this.#timer)
    this.#timer = undefined
    while (!this.#isBlocked && this.#lines.length > 0)
      this.#isBlocked = !this.#response.write(this.#takePart())
    if (this.#isComplete && this.#lines.length === 0) this.#response.end()
  }

  /** Joins the next lines. */
  #takePart(): string {
    let length = 0
    let count = 0
    while (count < this.#lines.length && length < PART) length += (this.#lines[count++] as string).length
    this.#length -= length
    return this.#lines.splice(0, count).join('')
  }
}
