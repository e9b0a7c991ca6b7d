import { existsSync } from 'node:fs'
import { mkdir, realpath } from 'node:fs/promises'
import { connect } from 'node:net'
import { endLeftover, findProgram } from './process.ts'
import { type LocalServer, startServer } from './server.ts'

/** A private store on 127.0.0.1, with its data and log in one directory. */
export type LocalStore = LocalServer

/** The options of a private store. */
export interface StoreOptions {
  /** The directory of its data, created if missing. One process uses it at a time. */
  dir: string
  /** The port; a free one by default. */
  port?: number | undefined
  /** Further arguments for the server; they win over the defaults. */
  args?: string[]
  /** Ends the start and the process. */
  signal?: AbortSignal | undefined
}

/**
 * Starts a private Redis (or Valkey) with the settings of docker-compose.yml: it syncs every write before its reply,
 * and evicts only keys with a TTL. Resolves when it answers PING, after loading. Keeps the data of an earlier run.
 */
export async function startRedis({ dir, port, args = [], signal }: StoreOptions): Promise<LocalStore> {
  const command = await findProgram('redis-server', 'valkey-server')
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const home = await realpath(dir)
  const settings = (port: number) => ({
    bind: '127.0.0.1',
    port: String(port),
    dir: home,
    // The command line must not change: it identifies a leftover process.
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

/** Ends a Redis that a killed run left running on this directory. */
export async function endLeftoverRedis(dir: string): Promise<void> {
  if (!existsSync(dir)) return
  const home = await realpath(dir)
  await endLeftover({ name: 'redis', dir: home, mark: home })
}

function ping(port: number): Promise<string | undefined> {
  return new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1', timeout: 1000 }, () => socket.write('PING\r\n'))
    const finish = (reason: string | undefined) => {
      socket.destroy()
      resolve(reason)
    }
    socket.once('data', reply => {
      const line = reply.toString().trim()
      // NOAUTH is the answer of a Redis with a password.
      finish(line === '+PONG' || line.startsWith('-NOAUTH') ? undefined : `PING is answered by ${line}`)
    })
    socket.once('error', error => finish(error.message))
    socket.once('timeout', () => finish('PING is not answered'))
    socket.once('close', () => finish('the connection was closed'))
  })
}
