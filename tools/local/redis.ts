import { existsSync } from 'node:fs'
import { mkdir, realpath } from 'node:fs/promises'
import { connect } from 'node:net'
import { endLeftover, findProgram } from './process.ts'
import { type LocalServer, startServer } from './server.ts'

/** A private store: bound to 127.0.0.1, its data and log in a directory of its own. */
export type LocalStore = LocalServer

/** Where a private store keeps its data, and how it is started. */
export interface StoreOptions {
  /** Made when it is not there. One process at a time. */
  dir: string
  /** A free port by default. */
  port?: number | undefined
  /** Further arguments for the server; they win over those given here. */
  args?: string[]
  /** Gives the start up, and leaves no process. */
  signal?: AbortSignal | undefined
}

/**
 * Starts a private Redis (or Valkey) as the shipped one runs: every write synced before its reply, and only what has
 * a TTL ever evicted. Resolves when it answers PING, which is after loading. Data of an earlier run is kept.
 */
export async function startRedis({ dir, port, args = [], signal }: StoreOptions): Promise<LocalStore> {
  const command = await findProgram('redis-server', 'valkey-server')
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const home = await realpath(dir)
  const settings = (port: number) => ({
    bind: '127.0.0.1',
    port: String(port),
    dir: home,
    // The command line stays as given, which is how a leftover is recognised.
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

/** Ends what a killed run left running on this directory. */
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
      // NOAUTH is an answer too, from a Redis that was given a password.
      finish(line === '+PONG' || line.startsWith('-NOAUTH') ? undefined : `PING is answered by ${line}`)
    })
    socket.once('error', error => finish(error.message))
    socket.once('timeout', () => finish('PING is not answered'))
    socket.once('close', () => finish('the connection was closed'))
  })
}
