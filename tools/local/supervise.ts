import { setTimeout as sleep } from 'node:timers/promises'
import { CommandError, quoted, shown } from './command.ts'
import { describeExit, type Exit } from './process.ts'
import type { LocalServer } from './server.ts'
import { modes, startService } from './service.ts'

/** An end sooner than this after the start is a quick one (ms). As many in a row are too many. */
const QUICK = 60_000
const MOST_QUICK = 5

/** Pause before the first restart; it doubles with each quick end (ms). */
const PAUSE = 500

/** The processes that this launcher has started. */
export interface Running {
  /** By name; in the order in which they became ready. */
  stores: Map<string, LocalServer>
  services: Map<string, LocalServer>
  /** The watches over the services; `over` ends them. */
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

/** Waits for the stop signal. Throws when a process ends before it, and is not restarted. */
export async function untilOver(options: ServiceStart): Promise<void> {
  const { running, signal } = options
  signal.throwIfAborted()
  const asked = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason))
  })
  const deaths = [...running.stores].map(async ([name, { exited, log }]) => endedBy(name, await exited, log))
  running.watches.push(...modes.map(mode => watch(mode, options)))
  // Later rejections, after the stop, must not count as unhandled.
  for (const death of [...deaths, ...running.watches]) death.catch(() => {})
  await Promise.race([asked, ...deaths, ...running.watches])
}

/** Restarts a service when it asks for that. Throws when it ends for good. */
async function watch(mode: (typeof modes)[number], options: ServiceStart): Promise<never> {
  const { services, over } = options.running
  const signal = AbortSignal.any([options.signal, over.signal])
  const server = services.get(mode) as LocalServer
  const start = async (port: number) => {
    const started = await startService({ ...options, mode, port, signal })
    services.set(mode, started)
    // It may have become ready in the moment in which the stop began, which did not see it.
    if (signal.aborted) await started.stop()
    signal.throwIfAborted()
    console.log(`${mode}: ready again`)
    return started
  }
  const onEnd = (exit: Exit, pause: number) =>
    console.log(`${mode} ended by itself with ${describeExit(exit)}; it restarts in ${pause / 1000} s …`)
  return endedBy(mode, await keepRunning({ server, start, onEnd, signal }), server.log)
}

/** Throws what is printed when a process has ended for good. */
function endedBy(name: string, exit: Exit, log: string): never {
  throw new CommandError(
    `${name} ended by itself with ${describeExit(exit)}; everything is stopped. See: tail -n 50 ${quoted(shown(log))}`
  )
}

/** A service to keep running. */
interface KeepRunning {
  server: LocalServer
  /** Restarts it on the same port. */
  start: (port: number) => Promise<LocalServer>
  /** Called before each pause (ms). */
  onEnd: (exit: Exit, pause: number) => void
  /** Ends the watch; everything is stopped then. */
  signal: AbortSignal
}

/**
 * Restarts a service each time that it ends by itself with exit code 1: it asks for that, as when a function is stuck.
 * Resolves when it ends in another way, or too often in a row, to how it ended.
 * @throws the reason of the signal, or why the service cannot be restarted.
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
