import { existsSync } from 'node:fs'
import { mkdir, realpath } from 'node:fs/promises'
import { connect } from 'node:net'
import { endLeftover, findProgram } from './process.ts'
import { type LocalServer, startServer } from './server.ts'

/** A private store on 127.0.0.1, with its data and log in one directory. */
export type LocalStore = LocalServer

/** The options of a private store. */
export interface StoreOptions {
  /** The directory of the data. The start creates it if it is missing. Only one process may use it at a time. */
  dir: string
  /** The port; a free port by default. */
  port?: number | undefined
  /** Further arguments for the server. They override the defaults. */
  args?: string[]
  /** Stops the start and the process. */
  signal?: AbortSignal | undefined
}

/**
 * Starts a private Redis (or Valkey) with the settings of docker-compose.yml. Redis syncs every write before its reply,
 * and evicts only keys with a TTL. A later start keeps the data. Resolves when the data is loaded and Redis answers
 * PING.
 */
export async function startRedis({ dir, port, args = [], signal }: StoreOptions): Promise<LocalStore> {
  const command = await findProgram('redis-server', 'valkey-server')
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const home = await realpath(dir)
  const settings = (port: number) => ({
    bind: '127.0.0.1',
    port: String(port),
    dir: home,
    // The command line must not change, because it identifies a process that a killed run left running.
    'set-proc-title': 'no',
    appendonly: 'yes',
    appendfsync: 'always',
    'maxmemory-policy': 'volatile-lru',
    save: ''
  })
  return startServer({
    name: 'redis',
    dir: home,
    mark: home,
    command,
    args: port => [
      ...Object.entries(settings(port)).flatMap(([name, value]) => [`--${name}`, value]),
      ...args
    ],
    cwd: home,
    port,
    signal,
    notReady: ping
  })
}

/** Stops a Redis that a killed run left running on this directory. */
export async function endLeftoverRedis(dir: string): Promise<void> {
  if (!existsSync(dir)) return
  const home = await realpath(dir)
  await endLeftover({ name: 'redis', dir: home, mark: home })
}

/** Returns the reason why a Redis or a sentinel does not answer PING; undefined when it answers. */
export function ping(port: number): Promise<string | undefined> {
  return new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1', timeout: 1000 }, () => socket.write('PING\r\n'))
    const finish = (reason: string | undefined) => {
      socket.destroy()
      resolve(reason)
    }
    socket.once('data', reply => {
      const line = reply.toString().trim()
      // A Redis with a password answers NOAUTH.
      finish(line === '+PONG' || line.startsWith('-NOAUTH') ? undefined : `PING is answered by ${line}`)
    })
    socket.once('error', error => finish(error.message))
    socket.once('timeout', () => finish('PING is not answered'))
    socket.once('close', () => finish('the connection was closed'))
  })
}
