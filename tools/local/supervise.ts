import { setTimeout as sleep } from 'node:timers/promises'
import { CommandError, quoted, shown } from './command.ts'
import { describeExit, type Exit } from './process.ts'
import type { LocalServer } from './server.ts'
import { modes, startService } from './service.ts'

/**
 * A process that exits sooner than this after its start exits quickly (ms). After MOST_QUICK in a row, it stays
 * stopped.
 */
const QUICK = 60_000
const MOST_QUICK = 5

/** The pause before the first restart (ms). It doubles with each quick exit. */
const PAUSE = 500

/** The processes that this launcher has started. */
export interface Running {
  /** The stores by name, in the order in which they became ready. */
  stores: Map<string, LocalServer>
  services: Map<string, LocalServer>
  /** The running watches of the services. `over` stops them. */
  watches: Promise<never>[]
  over: AbortController
}

/** The dependencies of the start of a service. */
export interface ServiceStart {
  dir: string
  env: NodeJS.ProcessEnv
  port: number
  host: string
  running: Running
  signal: AbortSignal
}

/** Waits for the stop signal. Throws when a process exits before the signal and is not restarted. */
export async function untilOver(options: ServiceStart): Promise<void> {
  const { running, signal } = options
  signal.throwIfAborted()
  const asked = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason))
  })
  const deaths = [...running.stores].map(async ([name, { exited, log }]) => endedBy(name, await exited, log))
  running.watches.push(...modes.map(mode => watch(mode, options)))
  // The promises may reject after the stop. These rejections must not count as unhandled.
  for (const death of [...deaths, ...running.watches]) death.catch(() => {})
  await Promise.race([asked, ...deaths, ...running.watches])
}

/** Restarts a service when it exits with code 1. Throws when it exits and is not restarted. */
async function watch(mode: (typeof modes)[number], options: ServiceStart): Promise<never> {
  const { services, over } = options.running
  const signal = AbortSignal.any([options.signal, over.signal])
  const server = services.get(mode) as LocalServer
  const start = async (port: number) => {
    const started = await startService({ ...options, mode, port, signal })
    services.set(mode, started)
    // The stop may have begun just before the service became ready, so the stop did not include it.
    if (signal.aborted) await started.stop()
    signal.throwIfAborted()
    console.log(`${mode}: ready again`)
    return started
  }
  const onEnd = (exit: Exit, pause: number) =>
    console.log(`${mode} ended by itself with ${describeExit(exit)}; it restarts in ${pause / 1000} s …`)
  return endedBy(mode, await keepRunning({ server, start, onEnd, signal }), server.log)
}

/** Throws the error about a process that has exited and is not restarted. */
function endedBy(name: string, exit: Exit, log: string): never {
  throw new CommandError(
    `${name} ended by itself with ${describeExit(exit)}; everything is stopped. See: tail -n 50 ${quoted(shown(log))}`
  )
}

/** A service to keep running. */
interface KeepRunning {
  server: LocalServer
  /** Starts the service again on the same port. */
  start: (port: number) => Promise<LocalServer>
  /** Is called before each pause (ms). */
  onEnd: (exit: Exit, pause: number) => void
  /** Stops the restarts when everything stops. */
  signal: AbortSignal
}

/**
 * Restarts a service each time that it exits by itself with code 1. With this code a service asks for a restart, for
 * example when a function is stuck. Resolves to the exit when the service exits in another way, or exits quickly too
 * often in a row.
 * @throws the reason of the signal, or the reason why the restart failed.
 */
async function keepRunning({ server, start, onEnd, signal }: KeepRunning): Promise<Exit> {
  let quick = 0
  for (let current = server; ; current = await start(server.port)) {
    const began = performance.now()
    const exit = await current.exited
    signal.throwIfAborted()
    quick = performance.now() - began < QUICK ? quick + 1 : 0
    if (exit.code !== 1 || quick === MOST_QUICK) return exit
    const pause = PAUSE * 2 ** quick
    onEnd(exit, pause)
    await sleep(pause, undefined, { signal }).catch(() => {})
    signal.throwIfAborted()
  }
}
