import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The project's folder. */
export const root = join(import.meta.dirname, '../..')

/** The time limit for every start, stop and wait. The tear-down has its own limit. */
const deadline = AbortSignal.timeout(6 * 60_000)
const stopped = new AbortController()
const signal = AbortSignal.any([deadline, stopped.signal])
for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.once(name, () => stopped.abort(new Error(`stopped by ${name}`)))

/** The part of `docker inspect` that the tests read. */
interface Container {
  Id: string
  Name: string
  Image: string
  State: { Status: string; ExitCode: number; Health?: { Status: string } }
  HostConfig: {
    ReadonlyRootfs: boolean
    CapDrop: string[] | null
    SecurityOpt: string[] | null
    RestartPolicy: { Name: string }
    LogConfig: { Type: string; Config: Record<string, string> }
  }
  NetworkSettings: { Ports: Record<string, { HostIp: string; HostPort: string }[] | null> }
}

type Service = 'api' | 'worker' | 'redis' | 'mysql'
export const SERVICES: Service[] = ['redis', 'mysql', 'api', 'worker']

export const nodeImage = process.env.NODE_IMAGE ?? 'node:24-bookworm-slim'

// With its own name and port, it does not affect a running Orderstream or another run of this test.
const project = `orderstream-smoke-${process.pid}`
export const image = project
export const port = await freePort()
const url = `http://127.0.0.1:${port}`

const env: NodeJS.ProcessEnv = {
  COMPOSE_PROJECT_NAME: project,
  ORDERSTREAM_IMAGE: image,
  PORT: String(port),
  // On a busy machine, a slow store must not count as an outage, because the logs would show the outage.
  STORE_TIMEOUT_MS: '5000'
}
// This is not the whole environment, because the file would pass on settings like LOG_LEVEL.
for (const [name, value] of Object.entries(process.env))
  if (/^(PATH|HOME|LANG|TMPDIR|XDG_.*|DOCKER_.*|BUILDKIT_.*|(NODE|REDIS|MYSQL)_IMAGE|\w+_proxy)$/i.test(name))
    env[name] ??= value

// This replaces a `.env` that may be in this folder.
const scratch = await mkdtemp(join(tmpdir(), `${project}-`))
const noSettings = join(scratch, 'env')
await writeFile(noSettings, '')

/** The compose program that is installed, out of two. */
export const program = await run('docker', ['compose', 'version'], { env, signal }).then(
  () => ['docker', 'compose'],
  () => ['docker-compose']
)

/** Runs a program to its end and returns its output. Throws with the output when it fails. */
export async function command(
  file: string,
  args: string[],
  { timeout = 60_000, by = signal, set = {} } = {}
) {
  const options = { cwd: root, env: { ...env, ...set }, timeout, signal: by, maxBuffer: 64 << 20 }
  return run(file, args, options).catch(error => {
    throw new Error(
      `${[file, ...args].join(' ')} failed: ${error.message}\n${error.stdout ?? ''}${error.stderr ?? ''}`,
      { cause: error }
    )
  })
}

/** Runs `docker compose` or `docker-compose` on the real file. */
export async function compose(args: string[], options?: Parameters<typeof command>[2]) {
  const [file, ...first] = program as [string, ...string[]]
  return command(file, [...first, '--env-file', noSettings, ...args], options)
}

/** Runs docker and returns its standard output. */
export const docker = async (...args: string[]) => (await command('docker', args)).stdout

/** Starts the containers that are not running. */
export const up = (...args: string[]) => compose(['up', '-d', ...args], { timeout: 5 * 60_000 })

/** The containers of a service or of all services, including stopped containers. */
export async function containers(service?: Service): Promise<Container[]> {
  const labels = [`project=${project}`, ...(service === undefined ? [] : [`service=${service}`])]
  const filters = labels.flatMap(label => ['--filter', `label=com.docker.compose.${label}`])
  const ids = (await docker('ps', '--all', '--quiet', ...filters)).split('\n').filter(Boolean)
  return ids.length === 0 ? [] : JSON.parse(await docker('inspect', ...ids))
}

/** Standard output and standard error of one container, line by line. */
export async function logLines({ Id }: Container): Promise<string[]> {
  const { stdout, stderr } = await command('docker', ['logs', Id])
  return `${stdout}\n${stderr}`.split('\n').filter(line => line !== '')
}

/** Waits until `check` returns a truthy value, and returns the value. Throws the last error after the time limit. */
export async function until<T>(
  what: string,
  check: () => Promise<T>,
  seconds = 60
): Promise<Exclude<T, false | null | undefined>> {
  const end = Date.now() + seconds * 1000
  for (;;) {
    let obstacle: unknown = 'the condition is not met'
    try {
      const result = await check()
      if (result) return result as Exclude<T, false | null | undefined>
    } catch (error) {
      obstacle = error
    }
    signal.throwIfAborted()
    if (Date.now() > end)
      throw new Error(`not within ${seconds} s: ${what}: ${obstacle}`, { cause: obstacle })
    await delay(200, undefined, { signal })
  }
}

/** Waits until that many containers run and Docker calls each of them healthy. */
export const healthy = (count: number, service?: Service) =>
  until(`${count} healthy containers (${service ?? 'all services'})`, async () => {
    const all = await containers(service)
    const states = all.map(({ Name, State }) => `${Name} ${State.Health?.Status ?? State.Status}`)
    if (all.length !== count || !all.every(({ State }) => State.Health?.Status === 'healthy'))
      throw new Error(states.join(', ') || 'there is none')
    return all
  })

/** Sends one request to the API, with JSON as its body. */
export async function request(path: string, body?: unknown) {
  const response = await fetch(url + path, {
    ...(body !== undefined && {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body)
    }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)])
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

/** Waits until the order is completed, and returns its document. */
export const completed = (id: string) =>
  until(`order ${id} is completed`, async () => {
    const { status, body } = await request(`/orders/${id}`)
    if (status !== 200 || body.status !== 'completed') throw new Error(`${status} ${JSON.stringify(body)}`)
    return body
  })

let tornDown: Promise<string[]> | undefined

/**
 * Removes everything that `up` created: containers, networks, volumes and the image. Only the first call does so.
 * Prints the last lines of the containers' logs to standard error on request. Returns the faults, and never throws.
 */
export async function tearDown({ withLogs }: { withLogs: boolean }): Promise<string[]> {
  tornDown ??= removeAll(withLogs)
  return tornDown
}

async function removeAll(withLogs: boolean): Promise<string[]> {
  const options = { timeout: 90_000, by: AbortSignal.timeout(180_000) }
  const faults: string[] = []
  const attempt = async (work: ReturnType<typeof command>) =>
    work.catch((error: Error) => {
      faults.push(error.message)
      return { stdout: '', stderr: '' }
    })
  if (withLogs) {
    const { stdout, stderr } = await attempt(compose(['logs', '--no-color', '--tail=100'], options))
    console.error(`${stdout}\n${stderr}`)
  }
  await attempt(compose(['down', '--volumes', '--remove-orphans'], options))
  await attempt(command('docker', ['image', 'rm', '--force', image], options))
  await rm(scratch, { recursive: true, force: true })
  return faults
}

/** Returns the resources of this run that the engine still has. */
export async function remains(): Promise<string[]> {
  const filter = ['--filter', `label=com.docker.compose.project=${project}`]
  const lists = await Promise.all([
    docker('ps', '--all', ...filter, '--format', 'container {{.Names}}'),
    docker('volume', 'ls', ...filter, '--format', 'volume {{.Name}}'),
    docker('network', 'ls', ...filter, '--format', 'network {{.Name}}'),
    docker('image', 'ls', '--format', 'image {{.Repository}}', image)
  ])
  return lists.flatMap(list => list.split('\n').filter(Boolean))
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
