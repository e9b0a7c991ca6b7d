import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PLACED } from '../../src/orders/names.ts'
import { createKeys } from '../../src/streams/keys.ts'
import { type LocalServer, startServer } from '../local/server.ts'
import { checkReady, startService } from '../local/service.ts'
import { depth as bullmqDepth } from './peers/bullmq/depth.ts'
import { depth as expressDepth } from './peers/express/depth.ts'
import type { Place, RedisName, Stores } from './stores.ts'

const run = promisify(execFile)

/** A program under test that serves HTTP. */
export interface Running extends Pick<LocalServer, 'pid' | 'stop'> {
  url: string
}

/** A system that accepts and processes orders, in its own part of the stores. */
export interface Contestant {
  name: string
  place: Place
  startApi: (env?: Record<string, string>) => Promise<Running>
  startWorker: (env?: Record<string, string>) => Promise<Running>
  /** Puts orders into the queue of the contestant, as its api does. */
  fill: (count: number) => Promise<void>
  /** Returns the number of orders that wait or are in flight. */
  depth: () => Promise<number>
}

/** The result of a program that measures itself. */
interface Measured {
  count: number
  seconds: number
}

/** The dependencies of every contestant. */
export interface ContestantOptions {
  stores: Stores
  /** The folder of the logs. */
  dir: string
  signal: AbortSignal
}

const peer = (name: string, program: string) => join(import.meta.dirname, 'peers', name, `${program}.ts`)

/**
 * The settings that differ from the defaults. The whole load comes from one address, so the rate limit must be high. No
 * load balancer has to notice a stop, so the service need not wait for one.
 */
export const OVER_ITS_DEFAULTS = { RATE_LIMIT_MAX: '1000000', DRAIN_DELAY_MS: '0' }

/** Creates the service with its default settings. A contestant with another `database` has separate rows. */
export async function orderstream(
  options: ContestantOptions,
  redis: RedisName,
  database = `orderstream_${redis}`
): Promise<Contestant> {
  const place = await options.stores.place(database, redis)
  const start = async (mode: 'api' | 'worker', env: Record<string, string> = {}) => {
    const dir = await ownDirectory(options, `${place.prefix}-${mode}`)
    const { signal } = options
    const server = await startService({
      mode,
      dir,
      env: { ...place.env, ...OVER_ITS_DEFAULTS, ...env },
      host: '127.0.0.1',
      signal
    })
    return running(server)
  }
  return {
    name: `orderstream (${redis})`,
    place,
    startApi: env => start('api', env),
    startWorker: env => start('worker', env),
    fill: async count => {
      await runProgram(join(import.meta.dirname, 'fill.ts'), place, [String(count)], options.signal)
    },
    depth: () => place.redis.xlen(createKeys(place.prefix, 1).stream(PLACED, 0))
  }
}

/** Creates a peer of `tools/bench/peers/` that has an api and a worker. */
export async function peerSystem(
  options: ContestantOptions,
  name: 'express' | 'bullmq'
): Promise<Contestant> {
  const place = await options.stores.place(`peer_${name}`, 'everysec')
  const depth = name === 'express' ? expressDepth : bullmqDepth
  return {
    name,
    place,
    startApi: env => startProgram(options, peer(name, 'api'), place, env),
    startWorker: env => startProgram(options, peer(name, 'worker'), place, env),
    fill: async count => {
      await runProgram(peer(name, 'fill'), place, [String(count)], options.signal)
    },
    depth: () => depth(place.redis, place.prefix)
  }
}

/** The limits of the stack without the service: an api without stores, and loops on one connection. */
export interface Limit {
  name: string
  place: Place
  startApi: () => Promise<Running>
  /** Returns the rows a second of a loop of multi-row INSERTs. */
  insert: (count: number) => Promise<number>
  /** Returns the messages a second of a loop of pipelined XADDs. */
  append: (count: number) => Promise<number>
}

/** Creates the limits of `tools/bench/peers/limit/`. */
export async function limit(options: ContestantOptions): Promise<Limit> {
  const place = await options.stores.place('peer_limit', 'everysec')
  const perSecond = async (program: string, count: number) => {
    const measured = await runProgram(peer('limit', program), place, [String(count)], options.signal)
    return measured.count / measured.seconds
  }
  return {
    name: 'limit',
    place,
    startApi: () => startProgram(options, peer('limit', 'api'), place),
    insert: count => perSecond('insert', count),
    append: count => perSecond('append', count)
  }
}

/** Starts a program. Resolves when its `GET /health/ready` answers 200. */
async function startProgram(
  options: ContestantOptions,
  file: string,
  place: Place,
  env: Record<string, string> = {}
): Promise<Running> {
  const name = file.endsWith('api.ts') ? 'api' : 'worker'
  const server = await startServer({
    name,
    dir: await ownDirectory(options, `${place.prefix}-${name}`),
    mark: file,
    command: process.execPath,
    args: () => [file],
    env: port => ({ ...place.env, NODE_ENV: 'production', ...env, PORT: String(port) }),
    signal: options.signal,
    notReady: port => checkReady(`http://127.0.0.1:${port}/health/ready`)
  })
  return running(server)
}

/** Returns a server as a program under test. */
export function running({ pid, port, stop }: LocalServer): Running {
  return { pid, stop, url: `http://127.0.0.1:${port}` }
}

/** Creates a new folder for the pid file and the log of one process. */
export async function ownDirectory({ dir }: Pick<ContestantOptions, 'dir'>, name: string): Promise<string> {
  for (let number = 1; ; number++) {
    const own = join(dir, 'processes', `${name}-${number}`)
    if (await mkdir(own, { recursive: true })) return own
  }
}

async function runProgram(
  file: string,
  place: Place,
  args: string[],
  signal: AbortSignal
): Promise<Measured> {
  const { stdout } = await run(process.execPath, [file, ...args], {
    env: { ...place.env, NODE_ENV: 'production' },
    signal
  })
  return JSON.parse(stdout) as Measured
}
