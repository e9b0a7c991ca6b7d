import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, portFault } from './ports.ts'
import { describeExit, endLeftover, type OwnProcess, type ProcessOptions, startProcess } from './process.ts'

/** A process that listens on a port of this machine. */
export interface LocalServer {
  host: string
  port: number
  pid: number
  /** The file with the output of the process on stdout and stderr. */
  log: string
  /** Resolves when the process has exited. */
  exited: OwnProcess['exited']
  /** Sends SIGTERM, then SIGKILL after the grace period. Resolves when the process has exited. May be called again. */
  stop(): Promise<void>
  /** Sends SIGKILL if the process still runs. */
  kill(): void
}

/** The server to start. `args` and `env` depend on its port. */
export interface ServerOptions extends Omit<ProcessOptions, 'args' | 'env'> {
  args: (port: number) => string[]
  env?: (port: number) => NodeJS.ProcessEnv
  host?: string
  /** The port; a free port by default. */
  port?: number | undefined
  /** Returns the reason why the server is not ready; undefined if it is ready. Throws if it cannot become ready. */
  notReady: (port: number) => Promise<string | undefined>
  /** The longest time that the server may take to become ready (ms). */
  readyWithinMs?: number
  /** Stops the start and the process. */
  signal?: AbortSignal | undefined
}

/**
 * Starts a server and resolves when it is ready.
 * @throws when it does not start. The process is stopped, and the error has the name and the last lines of the log
 * file.
 */
export async function startServer(options: ServerOptions): Promise<LocalServer> {
  const { name, host = '127.0.0.1' } = options
  // This comes before the check of the port, because the process of an earlier run may listen on it.
  await endLeftover(options)
  for (let attempt = 1; ; attempt++) {
    options.signal?.throwIfAborted()
    const port = options.port ?? (await freePort())
    if (await portFault(port, host)) {
      if (options.port === undefined && attempt < 5) continue
      throw new Error(`${name} cannot listen on ${host}:${port}: the port is taken`)
    }
    const child = await startProcess({ ...options, args: options.args(port), env: options.env?.(port) })
    try {
      await untilReady(child, port, options)
      const { pid, log, exited, stop, kill } = child
      return { host, port, pid, log, exited, stop, kill }
    } catch (error) {
      const ended = !child.running()
      await child.stop()
      // Another process may have taken the free port between the check and the start.
      if (ended && options.port === undefined && attempt < 5 && (await portFault(port, host))) continue
      throw error
    }
  }
}

async function untilReady(child: OwnProcess, port: number, options: ServerOptions): Promise<void> {
  const { name, readyWithinMs = 120_000, signal } = options
  const deadline = Date.now() + readyWithinMs
  for (;;) {
    const reason = await options.notReady(port)
    if (!child.running()) {
      throw new Error(`${name} ended with ${describeExit(await child.exited)} at its start. ${logOf(child)}`)
    }
    if (reason === undefined) return
    if (Date.now() > deadline) {
      throw new Error(`${name} was not ready within ${readyWithinMs / 1000} s: ${reason}. ${logOf(child)}`)
    }
    signal?.throwIfAborted()
    await Promise.race([sleep(30), child.exited])
  }
}

function logOf({ log, lastLines }: OwnProcess): string {
  return `The end of ${log}:\n${lastLines().replaceAll(/^/gm, '  ')}`
}
