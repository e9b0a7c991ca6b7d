import { destination } from 'pino'

/** Where pino writes its lines. */
export interface LogLines {
  write: (line: string) => void
  flushSync: () => void
}

/**
 * Standard output for the log: the lines of one turn of the event loop go out in one write, instead of each stopping the
 * process for one of its own. What is left goes out when the process exits.
 */
export function createLogLines(): LogLines {
  const output = destination({ sync: true })
  let lines: string[] = []
  const flushSync = () => {
    if (lines.length === 0) return
    const text = lines.join('')
    lines = []
    output.write(text)
  }
  process.on('exit', flushSync)
  return {
    write: line => {
      if (lines.push(line) === 1) setImmediate(flushSync)
    },
    flushSync
  }
}
