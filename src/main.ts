import { lookup } from 'node:dns/promises'
import closeWithGrace from 'close-with-grace'
import { ConfigError, resolveConfig } from '../schema/config/resolve.ts'
import { type App, buildApp } from './app.ts'
import { NoKeySource, ScopeMissing } from './auth/errors.ts'
import { FunctionFailed, NoFunction } from './boot/load-functions.ts'
import { onStopSignals, STOP_SIGNALS, type StopSignal } from './boot/stop-signals.ts'

try {
  const config = resolveConfig(process.env)
  const building = buildApp(config)
  // Registered before the app is built, because a signal must also stop a start. Process 1 of a container has no
  // default handler.
  stopInOrder(building, config.DRAIN_DELAY_MS + config.SHUTDOWN_GRACE_MS)
  const app = await building
  await app.listen({ host: await addressOf(config.HOST), port: config.PORT })
} catch (error) {
  console.error(explain(error))
  process.exit(1)
}

/**
 * Returns the address to listen on. For `localhost`, Fastify opens a server for each address, and only the first server
 * handles connections as this service does.
 */
async function addressOf(host: string): Promise<string> {
  return host === 'localhost' ? (await lookup(host, { order: 'ipv4first' })).address : host
}

/** Stops the app in order, within `delay` ms, at a signal or after an unhandled error. */
function stopInOrder(building: Promise<App>, delay: number): void {
  let stopSignal: StopSignal | undefined
  let closing = false
  let failure: Error | undefined
  const { close } = closeWithGrace(
    { delay, skip: [...STOP_SIGNALS], onTimeout: explainTimeout },
    async ({ err }) => {
      closing = true
      const app = await building
      if (err) app.log.fatal({ err }, 'closing after an error that nothing handled')
      else if (failure)
        app.log.fatal({ err: failure }, 'closing after a failure: only a new process recovers')
      else if (stopSignal === 'SIGINT')
        app.log.info({ signal: stopSignal }, 'closing; a second Ctrl-C ends it at once')
      else app.log.info({ signal: stopSignal }, 'closing')
      await app.drain()
      await app.close()
      // The supervisor starts a new process.
      if (failure) process.exit(1)
    }
  )
  building.then(
    app =>
      app.lifecycle.onFail(error => {
        failure = error
        if (!closing) close()
      }),
    () => {}
  )
  const log = async (signal: StopSignal) =>
    (await building).log.info({ signal }, 'signal ignored while closing')
  onStopSignals({
    begin: signal => {
      stopSignal = signal
      if (closing) log(signal).catch(() => {})
      else close()
    },
    endNow: () => {
      console.error('A second Ctrl-C ended the process: work in flight was aborted.')
      process.exit(1)
    },
    ignore: signal => void log(signal).catch(() => {})
  })
}

/** Explains why the start failed: a sentence if the operator can fix the reason, else the error itself. */
function explain(error: unknown): unknown {
  for (const kind of [ConfigError, FunctionFailed, NoFunction, NoKeySource, ScopeMissing])
    if (error instanceof kind) return error.message
  const { code, syscall, message, port } = error as NodeJS.ErrnoException & { port?: number }
  if (code === 'EADDRINUSE') return `Port ${port} is in use by another process. Set PORT to a free one.`
  if (syscall === 'listen' || syscall === 'getaddrinfo')
    return `Nothing can listen there (${message}). Set HOST to an address of this machine, and PORT to one that is allowed.`
  return error
}

function explainTimeout(delay: number): void {
  console.error(
    `Work in flight had not ended ${delay} ms after the signal (DRAIN_DELAY_MS and SHUTDOWN_GRACE_MS): ended regardless.`
  )
}
