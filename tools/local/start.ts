import { mkdirSync, realpathSync, rmSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { CommandError, explainFileFault, interruption, quoted, readArguments, shown } from './command.ts'
import { LockedError, lockDirectory } from './lock.ts'
import { createDatabase, endLeftoverMariadb, startMariadb } from './mariadb.ts'
import { portFault } from './ports.ts'
import { endLeftoverRedis, startRedis } from './redis.ts'
import type { LocalServer } from './server.ts'
import { baseUrl, endLeftoverServices, modes, root, startService, unavailableStores } from './service.ts'
import { type Running, type ServiceStart, untilOver } from './supervise.ts'

const help = `npm start [-- options]

Starts Orderstream on this machine: a private Redis and MariaDB, the api and the worker. Ctrl-C stops all of it; a
second one does not wait for requests and messages in flight.

  --fresh        begin empty: deletes the stores' data and the logs of earlier runs
  --data <dir>   where data and logs are kept (default: .local)
  --help         show this

Environment: PORT, the port of the API (default 3000; 0 takes a free one). With REDIS_HOST or DB_HOST set, that store
is used instead of a private one, with the other REDIS_* or DB_* variables. All other variables of the service apply.`

const OPTIONS = {
  data: { type: 'string', default: join(root, '.local') },
  fresh: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false }
} as const

const print = (line = '') => console.log(line)

process.exitCode = await start(process.argv.slice(2))

async function start(argv: string[]): Promise<number> {
  const running: Running = {
    stores: new Map(),
    services: new Map(),
    watches: [],
    over: new AbortController()
  }
  const signal = interruption(() => endServices(running))
  // The terminal may close before this process exits.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

  try {
    const values = readArguments(argv, OPTIONS, help)
    if (values.help) print(help)
    else await launch(values.data, values.fresh, running, signal)
    return 0
  } catch (error) {
    if (signal.aborted && error === signal.reason) return 0
    const cure = 'Make it writable, or choose another folder: npm start -- --data DIR'
    console.error(explainFileFault(error, cure) ?? (error instanceof Error ? error.message : error))
    return 1
  }
}

async function launch(data: string, fresh: boolean, running: Running, signal: AbortSignal): Promise<void> {
  const port = readPort(process.env.PORT)
  const host = process.env.HOST || '127.0.0.1'
  mkdirSync(data, { recursive: true, mode: 0o700 })
  const dir = realpathSync(resolve(data))
  const unlock = await lock(dir)
  try {
    await endLeftovers(dir)
    await refuseTakenPort(port, host)
    if (fresh) empty(dir)
    const env = await startStores(dir, running, signal)
    const options = { dir, env, port, host, running, signal }
    await startServices(options)
    const api = running.services.get('api') as LocalServer
    const unavailable = await unavailableStores(baseUrl(api.host, api.port), signal)
    describe(running, dir)
    warn(unavailable, dir)
    await untilOver(options)
  } finally {
    await stop(running)
    unlock()
  }
}

function readPort(text: string | undefined): number {
  if (text === undefined) return 3000
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port > 65_535) {
    throw new CommandError(
      `PORT is "${text}": it must be a whole number from 0 to 65535 (0 takes a free port).`
    )
  }
  return port
}

async function lock(dir: string): Promise<() => void> {
  try {
    return await lockDirectory(dir, basename(import.meta.filename))
  } catch (error) {
    if (!(error instanceof LockedError)) throw error
    throw new CommandError(
      `Orderstream is already running here: process ${error.holder} uses ${shown(dir)}. Stop it first: Ctrl-C in its terminal, or kill ${error.holder}.`
    )
  }
}

// Stops all processes of a killed launcher. Otherwise a run with other stores would leave some of them running.
async function endLeftovers(dir: string): Promise<void> {
  await endLeftoverServices(dir)
  await Promise.all([endLeftoverRedis(join(dir, 'redis')), endLeftoverMariadb(join(dir, 'mariadb'))])
}

async function refuseTakenPort(port: number, host: string): Promise<void> {
  if (port === 0) return
  const fault = await portFault(port, host)
  if (fault === 'EADDRINUSE') {
    throw new CommandError(
      `Port ${port} is taken by another program: stop that, or choose another port, as in PORT=${port === 65_535 ? 3000 : port + 1} npm start.`
    )
  }
  if (fault)
    throw new CommandError(`Cannot listen on ${host}:${port} (${fault}): choose another PORT or HOST.`)
}

// Deletes only the files of a launcher, because the user may have named a wrong directory.
function empty(dir: string): void {
  const made = ['redis', 'mariadb', ...modes.flatMap(mode => [`${mode}.log`, `${mode}.log.1`])]
  for (const name of made) rmSync(join(dir, name), { recursive: true, force: true, maxRetries: 10 })
  print(`Emptied ${shown(dir)}`)
}

/** Starts the stores that the environment does not name. Returns the environment of the service. */
async function startStores(
  dir: string,
  { stores }: Running,
  signal: AbortSignal
): Promise<NodeJS.ProcessEnv> {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    HOST: process.env.HOST || '127.0.0.1',
    AUTH: process.env.AUTH || 'off'
  }
  if (env.REDIS_HOST) print(`Redis: ${env.REDIS_HOST}, from REDIS_HOST`)
  else {
    const redis = await step('Redis', () => startRedis({ dir: join(dir, 'redis'), signal }), address)
    stores.set('redis', redis)
    Object.assign(env, {
      REDIS_HOST: redis.host,
      REDIS_PORT: String(redis.port),
      REDIS_USERNAME: '',
      REDIS_PASSWORD: '',
      REDIS_TLS: 'false'
    })
  }
  if (env.DB_HOST) print(`MariaDB: ${env.DB_HOST}, from DB_HOST`)
  else {
    const mariadb = await step('MariaDB', () => startMariadb({ dir: join(dir, 'mariadb'), signal }), address)
    stores.set('mariadb', mariadb)
    await createDatabase(mariadb, 'orderstream')
    Object.assign(env, {
      DB_HOST: mariadb.host,
      DB_PORT: String(mariadb.port),
      DB_USER: mariadb.user,
      DB_PASSWORD: mariadb.password,
      DB_NAME: 'orderstream',
      DB_TLS: 'false'
    })
  }
  return env
}

async function startServices({ dir, env, port, host, running, signal }: ServiceStart): Promise<void> {
  const failed = new AbortController()
  await step(
    'api and worker',
    async () => {
      const results = await Promise.allSettled(
        modes.map(async mode => {
          try {
            const own = mode === 'api' && port !== 0 ? port : undefined
            const both = AbortSignal.any([signal, failed.signal])
            // Without its stores, the service waits for them. The launcher then warns.
            const options = { mode, dir, env, host, port: own, probe: 'live', signal: both } as const
            running.services.set(mode, await startService(options))
          } catch (error) {
            // The first error stops the start of the other mode.
            failed.abort(error)
            throw error
          }
        })
      )
      signal.throwIfAborted()
      if (results.some(result => result.status === 'rejected')) throw failed.signal.reason
    },
    () => 'ready'
  )
}

async function step<T>(name: string, work: () => Promise<T>, outcome: (result: T) => string): Promise<T> {
  const began = performance.now()
  print(`${name}: starting …`)
  const result = await work()
  print(`${name}: ${outcome(result)} (${((performance.now() - began) / 1000).toFixed(1)} s)`)
  return result
}

function address({ host, port }: LocalServer): string {
  return `ready on ${host}:${port}`
}

function describe({ services }: Running, dir: string): void {
  const [api, worker] = modes.map(mode => {
    const { host, port } = services.get(mode) as LocalServer
    return baseUrl(host, port)
  })
  const logs = shown(dir)
  // Without --data, the next start would use another directory.
  const own = dir === join(root, '.local') ? '' : `--data ${quoted(dir)} `
  print(`
Orderstream is running.

  API      ${api}
  Docs     ${api}/docs
  Health   ${api}/health    (worker: ${worker}/health)
  Metrics  ${api}/metrics   (worker: ${worker}/metrics)
  Logs     ${join(logs, 'api.log')}, ${join(logs, 'worker.log')}

Place an order, and see it:

  curl -X POST ${api}/orders -H 'content-type: application/json' -d '{"order_id":"test-001","amount":100.00}'
  curl ${api}/orders/test-001

Ctrl-C stops everything; the data stays in ${logs} (npm start -- ${own}--fresh begins empty).
`)
}

/** Warns about unavailable stores. If the environment names a wrong address, the service would wait without end. */
function warn(unavailable: string[], dir: string): void {
  if (unavailable.length === 0) return
  const log = shown(join(dir, 'api.log'))
  print(
    `But ${unavailable.join(' and ')} cannot be used; the service waits for it. The reason: grep 'not available' ${quoted(log)}\n`
  )
}

/** Stops the services, then the stores. Every step runs, even after a failure. */
async function stop({ stores, services, watches, over }: Running): Promise<void> {
  over.abort()
  for (const group of [services, stores]) {
    if (group.size === 0) continue
    const began = performance.now()
    await Promise.allSettled([...group.values()].map(server => server.stop()))
    // The watch of a service stops it if it is just restarting.
    await Promise.allSettled(watches)
    print(`Stopped ${[...group.keys()].join(' and ')} (${((performance.now() - began) / 1000).toFixed(1)} s)`)
  }
}

/** Kills the services without waiting for work in flight. The stores still stop as usual. */
function endServices({ services }: Running): void {
  print('A second Ctrl-C: api and worker end at once.')
  for (const service of services.values()) service.kill()
}
