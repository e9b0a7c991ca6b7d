import { execFile, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { access, constants, readFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** How a process exited: its exit code, or the signal that killed it. */
export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

/** A process that the current process started and will stop. */
export interface OwnProcess {
  pid: number
  /** The file with the output of the process on stdout and stderr. */
  log: string
  exited: Promise<Exit>
  running(): boolean
  /** Sends SIGTERM, then SIGKILL after the grace period. Resolves when the process has exited. May be called again. */
  stop(): Promise<void>
  /** Sends SIGKILL if the process still runs. */
  kill(): void
  /** The last lines that the process wrote since its start. */
  lastLines(): string
}

/** The program to start, and the folder of its files: `<dir>/<name>.pid` and `<dir>/<name>.log`. */
export interface ProcessOptions {
  name: string
  dir: string
  command: string
  args: string[]
  /** The text that identifies the process by its command line. It is a whole argument, or the value of an argument. */
  mark: string
  cwd?: string | undefined
  env?: NodeJS.ProcessEnv | undefined
  /** The grace period between SIGTERM and SIGKILL (ms). */
  graceMs?: number | undefined
}

const defaultGraceMs = 10_000
const largestLog = 10 * 1024 * 1024

const running = new Set<number>()
let watchingExit = false

/** Describes an exit, such as `code 1` or `signal SIGKILL`. */
export function describeExit({ code, signal }: Exit): string {
  return signal ? `signal ${signal}` : `code ${code}`
}

/**
 * Starts a process in its own process group. A Ctrl-C in the terminal does not reach the process, so its owner decides
 * when it stops. Before that, stops the process that an earlier, killed owner left running.
 */
export async function startProcess(options: ProcessOptions): Promise<OwnProcess> {
  const { name, dir, graceMs = defaultGraceMs } = options
  await endLeftover(options)

  const { log, descriptor, began } = openLog(dir, name)
  const child = spawn(options.command, options.args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: ['ignore', descriptor, descriptor],
    detached: true
  })
  closeSync(descriptor)
  const { pid } = child
  const pidFile = join(dir, `${name}.pid`)
  if (pid !== undefined) {
    // The write is synchronous, because a later run finds the process only by this file.
    writeFileSync(pidFile, JSON.stringify({ pid, owner: process.pid }))
    endWithThisProcess(pid)
  }
  const exited = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      running.delete(child.pid as number)
      rmSync(pidFile, { force: true })
      resolve({ code, signal })
    })
  })
  if (pid === undefined) {
    await exited
    throw new Error(`${name} could not be started`)
  }

  const isRunning = () => child.exitCode === null && child.signalCode === null
  let stopping: Promise<void> | undefined
  const stop = async () => {
    if (!isRunning()) return
    signalGroup(pid, 'SIGTERM')
    // A process that SIGSTOP paused handles SIGTERM only when it continues.
    signalGroup(pid, 'SIGCONT')
    const inTime = await Promise.race([exited, sleep(graceMs, undefined, { ref: false })])
    if (!inTime) signalGroup(pid, 'SIGKILL')
    await exited
  }
  return {
    pid,
    log,
    exited,
    running: isRunning,
    stop: () => {
      stopping ??= stop()
      return stopping
    },
    kill: () => {
      if (isRunning()) signalGroup(pid, 'SIGKILL')
    },
    lastLines: () => lastLines(log, began)
  }
}

/** The pid file of a process, and the mark on its command line. */
export type LeftoverOptions = Pick<ProcessOptions, 'name' | 'dir' | 'mark' | 'graceMs'>

/**
 * Stops the process that an earlier run left running. Finds the process by its pid file and its command line, never by
 * its name. Resolves to its process id; undefined if there was no process.
 * @throws when the owner of the process still runs, because the process is in use then
 */
export async function endLeftover({
  name,
  dir,
  mark,
  graceMs
}: LeftoverOptions): Promise<number | undefined> {
  const pidFile = join(dir, `${name}.pid`)
  const record = readPidFile(pidFile)
  if (!record) return undefined
  const found = await inspectProcess(record.pid)
  // Another process may have the same id now.
  const ours = found !== undefined && mentions(found.command, mark)
  if (ours && found.parent === record.owner) {
    throw new Error(
      `${name} in ${dir} is in use: process ${record.owner} started it as ${record.pid} and is still there`
    )
  }
  if (ours) await endProcess(record.pid, graceMs ?? defaultGraceMs)
  rmSync(pidFile, { force: true })
  return ours ? record.pid : undefined
}

/** Returns the parent and the command line of a process; undefined if the process does not run. */
export async function inspectProcess(pid: number): Promise<{ parent: number; command: string } | undefined> {
  try {
    if (process.platform === 'linux') {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8')
      // The format is `pid (name) state parent …`. The name may contain parentheses.
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return state === 'Z'
        ? undefined
        : { parent: Number(parent), command: command.replaceAll('\0', ' ').trim() }
    }
    const { stdout } = await run('ps', [
      '-ww',
      '-o',
      'stat=',
      '-o',
      'ppid=',
      '-o',
      'command=',
      '-p',
      String(pid)
    ])
    const [, state = '', parent, command = ''] = /^\s*(\S+)\s+(\d+)\s+(.*)$/m.exec(stdout) ?? []
    return state === '' || state.startsWith('Z')
      ? undefined
      : { parent: Number(parent), command: command.trim() }
  } catch {
    // The process does not exist: its file is missing, or ps exits with 1.
    return undefined
  }
}

/** Returns whether a command line has `mark` as a whole argument, or as the value of an argument. */
function mentions(command: string, mark: string): boolean {
  const line = ` ${command} `
  return line.includes(` ${mark} `) || line.includes(`=${mark} `)
}

/**
 * Returns the path of the first of these programs that is installed.
 * @throws when no program is installed. The error names the command that installs it.
 */
export async function findProgram(...names: string[]): Promise<string> {
  // These are the directories of setup.sh. That file explains them.
  const more =
    process.env.ORDERSTREAM_STORE_DIRS ??
    '/usr/sbin:/usr/local/sbin:/opt/homebrew/bin:/usr/local/bin:/home/linuxbrew/.linuxbrew/bin'
  const directories = `${process.env.PATH ?? ''}${delimiter}${more}`.split(delimiter).filter(Boolean)
  for (const path of names.flatMap(name => directories.map(directory => join(directory, name)))) {
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false
    )
    if (found) return path
  }
  throw new Error(`${names.join(' or ')} is not installed; \`npm run setup\` installs it`)
}

async function endProcess(pid: number, graceMs: number): Promise<void> {
  signalGroup(pid, 'SIGTERM')
  signalGroup(pid, 'SIGCONT')
  const deadline = Date.now() + graceMs
  while (await inspectProcess(pid)) {
    if (Date.now() > deadline) signalGroup(pid, 'SIGKILL')
    await sleep(20)
  }
}

// startProcess makes each process the leader of its own group, so the signal reaches only the process and its children.
function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch {
    // The process has already ended.
  }
}

// Kills the processes if the current process exits without stopping them, such as after an uncaught error.
function endWithThisProcess(pid: number): void {
  running.add(pid)
  if (watchingExit) return
  watchingExit = true
  process.once('exit', () => {
    for (const left of running) signalGroup(left, 'SIGTERM')
  })
}

function readPidFile(pidFile: string): { pid: number; owner: number } | undefined {
  try {
    const { pid, owner } = JSON.parse(readFileSync(pidFile, 'utf8'))
    return Number.isInteger(pid) && pid > 1 ? { pid, owner } : undefined
  } catch {
    // The file is missing or incomplete.
    return undefined
  }
}

function openLog(dir: string, name: string) {
  const log = join(dir, `${name}.log`)
  if ((statSync(log, { throwIfNoEntry: false })?.size ?? 0) > largestLog) renameSync(log, `${log}.1`)
  const descriptor = openSync(log, 'a', 0o600)
  return { log, descriptor, began: statSync(log).size }
}

function lastLines(log: string, began: number, count = 25): string {
  const written = readFileSync(log).subarray(began).toString()
  return written.trimEnd().split('\n').slice(-count).join('\n')
}
