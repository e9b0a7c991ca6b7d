import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspectProcess } from '../../../tools/local/process.ts'

export const root = join(import.meta.dirname, '../../..')

/** A program under test, with its output so far. */
export interface Program {
  child: ChildProcess
  output(): string
  /** Resolves to the match when the program has printed it. Rejects when the program ends without a match. */
  prints(pattern: RegExp): Promise<RegExpMatchArray>
  /** Resolves when the program has ended, to its exit code. */
  ended: Promise<number | null>
}

/** Runs a program in an environment that has only `env` and the paths of programs and folders. */
export function run(command: string, args: string[], env: NodeJS.ProcessEnv = {}, cwd = root): Program {
  const { PATH, HOME, TMPDIR } = process.env
  const child = spawn(command, args, { cwd, env: { PATH, HOME, TMPDIR, ...env } })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', text => {
      output += text
    })
  }
  const ended = once(child, 'close').then(([code]) => code as number | null)
  const prints = async (pattern: RegExp) => {
    let over = false
    void ended.then(() => {
      over = true
    })
    for (;;) {
      const match = output.match(pattern)
      if (match) return match
      if (over) throw new Error(`The program ended without ${pattern}; it wrote:\n${output}`)
      await sleep(20)
    }
  }
  return { child, output: () => output, prints, ended }
}

/** Runs the launcher. All processes run when it has printed `Ctrl-C stops`. */
export function launch(data: string, args: string[] = [], env: NodeJS.ProcessEnv = {}): Program {
  const program = run(process.execPath, ['tools/local/start.ts', '--data', data, ...args], {
    PORT: '0',
    ...env
  })
  return program
}

/** The process ids that a launcher has recorded in its data directory. */
export function recordedPids(data: string): Record<string, number> {
  const files = { api: 'api', worker: 'worker', redis: 'redis/redis', mariadb: 'mariadb/mariadb' }
  const recorded = Object.entries(files)
    .map(([name, file]) => [name, join(data, `${file}.pid`)] as const)
    .filter(([, file]) => existsSync(file))
  return Object.fromEntries(
    recorded.map(([name, file]) => [name, JSON.parse(readFileSync(file, 'utf8')).pid])
  )
}

/** Returns the processes that still run. */
export async function alive(pids: Iterable<number>): Promise<number[]> {
  const found = await Promise.all([...pids].map(async pid => ((await inspectProcess(pid)) ? [pid] : [])))
  return found.flat()
}
