import { destination } from 'pino'

/** The destination of pino's lines. */
export interface LogLines {
  write: (line: string) => void
  flushSync: () => void
}

let output: LogLines | undefined

/**
 * Returns the standard output for the log. A process has one. The lines of one turn of the event loop are written
 * together, because each write stops the process. The last lines are written when the process exits.
 */
export function standardOutput(): LogLines {
  output ??= createLines()
  return output
}

function createLines(): LogLines {
  const stdout = destination({ sync: true })
  let lines: string[] = []
  const flushSync = () => {
    if (lines.length === 0) return
    const text = lines.join('')
    lines = []
    stdout.write(text)
  }
  process.on('exit', flushSync)
  return {
    write: line => {
      if (lines.push(line) === 1) setImmediate(flushSync)
    },
    flushSync
  }
}
