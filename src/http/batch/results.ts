import type { ServerResponse } from 'node:http'

/**
 * The size of the parts that are written at once (characters). A slow client has to read one part in time, not
 * everything that waits.
 */
const PART = 64 * 1024

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
  #isBlocked = false
  #isComplete = false

  /** `moved` is called when the client has read a part. */
  constructor(response: ServerResponse, moved: () => void) {
    this.#response = response
    this.#moved = moved
    response.on('drain', this.#drain)
  }

  /** What the client has not read yet, without what the operating system holds (about the bytes). */
  get unsent(): number {
    return this.#length + this.#response.writableLength
  }

  /** Adds some lines. */
  write(lines: string[]): void {
    for (const line of lines) {
      this.#lines.push(line)
      this.#length += line.length
    }
    this.#send()
  }

  /** Ends the answer after the last line. */
  end(): void {
    if (this.#isComplete) return
    this.#isComplete = true
    this.#send()
  }

  #drain = () => {
    this.#isBlocked = false
    this.#send()
    this.#moved()
  }

  #send(): void {
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
