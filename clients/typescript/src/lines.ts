/** Splits the chunks of a body into lines. The last line needs a newline, otherwise it is not complete. */
export class LineParser {
  readonly #decoder = new TextDecoder()
  #rest = ''

  /** Returns the lines that are complete with this chunk. */
  push(chunk: Uint8Array): string[] {
    const lines = this.#decoder.decode(chunk, { stream: true }).split('\n')
    lines[0] = this.#rest + lines[0]
    this.#rest = lines.pop() ?? ''
    return lines
  }
}
