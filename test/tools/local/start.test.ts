import { once } from 'node:events'
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test } from 'vitest'
import { freePort, portFault } from '../../../tools/local/ports.ts'
import { startRedis } from '../../../tools/local/redis.ts'
import { NOWHERE } from '../../harness/space.ts'
import { alive, launch, type Program, recordedPids, run } from './launcher.ts'

const data = realpathSync(mkdtempSync(join(tmpdir(), 'orderstream-start-')))
const order = { order_id: 'test-001', amount: 100 }
const up = /Ctrl-C stops/
const timeout = 60_000

let programs: Program[] = []
const track = (program: Program) => {
  programs.push(program)
  return program
}

let failed = false

// This stops the processes that a failed test has left.
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') {
    failed = true
    console.error(`${task.name}: logs and data are kept in ${data}`)
    for (const program of programs) console.error(program.output())
  }
  for (const { child } of programs) child.kill('SIGTERM')
  await Promise.all(programs.map(({ ended }) => ended))
  programs = []
})
afterAll(() => {
  if (!failed) rmSync(data, { recursive: true, force: true })
})

async function apiOf(program: Program): Promise<string> {
  await program.prints(up)
  const [, url] = await program.prints(/API {2,}(http:\S+)/)
  return url as string
}

function post(api: string): Promise<Response> {
  return fetch(`${api}/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"order_id":"test-001","amount":100.00}'
  })
}

const get = async (api: string) => (await fetch(`${api}/orders/${order.order_id}`)).json()

test('npm start processes an order, and an interrupt leaves no process and no open port', {
  timeout
}, async () => {
  const port = await freePort()
  const program = track(launch(data, [], { PORT: String(port) }))
  const api = await apiOf(program)
  expect(api).toBe(`http://127.0.0.1:${port}`)
  expect(program.output()).toContain(
    `curl -X POST ${api}/orders -H 'content-type: application/json' -d '{"order_id"`
  )

  expect(program.output()).toContain(`(npm start -- --data ${data} --fresh begins empty)`)

  expect((await post(api)).status).toBe(202)
  await expect
    .poll(() => get(api), { timeout: 10_000 })
    .toMatchObject({ ...order, status: 'completed', tax: 18, total: 118 })
  const [, worker] = await program.prints(/worker: (http:\S+)\/health\)/)
  expect((await fetch(`${worker}/health`)).status).toBe(200)
  expect((await post(worker as string)).status).toBe(404)
  expect((await fetch(`${api}/docs`)).status).toBe(200)

  const second = track(launch(data))
  expect(await second.ended).toBe(1)
  expect(second.output()).toContain(
    `Orderstream is already running here: process ${program.child.pid} uses ${data}`
  )

  const pids = recordedPids(data)
  expect(Object.keys(pids)).toEqual(['api', 'worker', 'redis', 'mariadb'])
  const ports = program.output().matchAll(/127\.0\.0\.1:(\d+)/g)
  // A second signal arrives during the stop, because npm passes on a signal that the terminal has already sent.
  program.child.kill('SIGINT')
  await program.prints(/Stopping/)
  program.child.kill('SIGINT')
  expect(await program.ended).toBe(0)
  expect(await alive(Object.values(pids))).toEqual([])
  for (const [, port] of ports) expect(await portFault(Number(port))).toBeUndefined()
  expect(program.output()).toMatch(/Stopped (api and worker|worker and api) .*\nStopped redis and mariadb /)
})

test('a second start through npm finds the order, and SIGTERM to npm stops all processes', {
  timeout
}, async () => {
  const program = track(run('npm', ['start', '--', '--data', data], { PORT: '0' }))
  const api = await apiOf(program)
  const replay = await post(api)
  expect(replay.status).toBe(200)
  expect(await replay.json()).toMatchObject({ ...order, status: 'completed', total: 118 })

  const pids = recordedPids(data)
  program.child.kill('SIGTERM')
  expect(await program.ended).toBe(0)
  expect(await alive(Object.values(pids))).toEqual([])
})

test('the launcher stops everything when a process exits by itself, and names this process', {
  timeout
}, async () => {
  const program = track(launch(data))
  await program.prints(up)
  const pids = recordedPids(data)
  process.kill(pids.worker as number, 'SIGKILL')
  expect(await program.ended).toBe(1)
  expect(program.output()).toContain('worker ended by itself with signal SIGKILL')
  expect(program.output()).toContain(`tail -n 50 ${join(data, 'worker.log')}`)
  expect(await alive(Object.values(pids))).toEqual([])
})

test('a start ends the processes of a killed launcher, and --fresh starts with empty stores', {
  timeout
}, async () => {
  const killed = track(launch(data))
  await killed.prints(up)
  const left = Object.values(recordedPids(data))
  killed.child.kill('SIGKILL')
  await killed.ended
  expect(await alive(left)).toEqual(left)

  const program = track(launch(data, ['--fresh']))
  const api = await apiOf(program)
  expect(await alive(left)).toEqual([])
  expect((await fetch(`${api}/orders/${order.order_id}`)).status).toBe(404)
  expect((await post(api)).status).toBe(202)
})

test('an interrupt during the start stops all processes', { timeout }, async () => {
  for (const moment of [/MariaDB: starting/, /api and worker: starting/]) {
    const program = track(launch(data, ['--fresh']))
    await program.prints(moment)
    const pids = Object.values(recordedPids(data))
    program.child.kill('SIGINT')
    expect(await program.ended).toBe(0)
    expect(recordedPids(data)).toEqual({})
    expect(await alive(pids)).toEqual([])
  }
})

test('a store that the environment names is used, and is not stopped even by a second Ctrl-C', {
  timeout
}, async () => {
  const redis = await startRedis({ dir: join(data, 'own-redis') })
  try {
    const env = { REDIS_HOST: redis.host, REDIS_PORT: String(redis.port), DRAIN_DELAY_MS: '60000' }
    const program = track(launch(data, [], env))
    const api = await apiOf(program)
    expect(Object.keys(recordedPids(data))).toEqual(['api', 'worker', 'mariadb'])
    expect((await post(api)).status).toBeLessThan(300)
    await expect.poll(() => get(api), { timeout: 10_000 }).toMatchObject({ status: 'completed' })
    program.child.kill('SIGINT')
    await program.prints(/Stopping … \(Ctrl-C again ends it at once\)/)
    const second = 'A second Ctrl-C: api and worker end at once.'
    // A signal that arrives while the process exits would kill it.
    const interrupt = () => {
      if (!program.output().includes(second)) program.child.kill('SIGINT')
      return program.output()
    }
    await expect.poll(interrupt, { timeout: 10_000, interval: 200 }).toContain(second)
    expect(await program.ended).toBe(0)
    expect(await alive([redis.pid])).toEqual([redis.pid])
  } finally {
    await redis.stop()
  }
})

test('the launcher warns of an unavailable store that the environment names', { timeout }, async () => {
  const nowhere = { DB_HOST: '127.0.0.1', DB_PORT: String(NOWHERE) }
  const program = track(launch(data, [], nowhere))
  await program.prints(/But Redis and MySQL cannot be used; .*grep 'not available' \S+api\.log/)
  expect(readFileSync(join(data, 'api.log'), 'utf8')).toContain('mysql is not available')
})

test('a failed start of the service shows the end of its log', { timeout }, async () => {
  const program = track(launch(data, [], { TAX_RATE: '5' }))
  expect(await program.ended).toBe(1)
  expect(program.output()).toMatch(/(api|worker) ended with code \d+ at its start/)
  expect(program.output()).toContain('TAX_RATE')
  expect(recordedPids(data)).toEqual({})
})

test('a taken or invalid PORT is reported in one sentence, and nothing starts', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port } = taken.address() as AddressInfo
  const cases = {
    [port]: `Port ${port} is taken by another program: stop that, or choose another port, as in PORT=${port + 1} npm start.\n`,
    abc: 'PORT is "abc": it must be a whole number from 0 to 65535 (0 takes a free port).\n',
    65536: 'PORT is "65536": it must be a whole number from 0 to 65535 (0 takes a free port).\n'
  }
  for (const [value, sentence] of Object.entries(cases)) {
    const program = track(launch(data, [], { PORT: value }))
    expect(await program.ended).toBe(1)
    expect(program.output()).toBe(sentence)
  }
  taken.close()
})

test('--help names the options, and an unknown option is refused', async () => {
  const asked = track(launch(data, ['--help']))
  expect(await asked.ended).toBe(0)
  expect(asked.output()).toMatch(/--fresh[\s\S]*--data <dir>[\s\S]*PORT/)
  const wrong = track(launch(data, ['--frehs']))
  expect(await wrong.ended).toBe(1)
  expect(wrong.output()).toContain("Unknown option '--frehs'")
  // npm keeps --data for itself and passes on its value.
  const unguarded = track(run('node', ['tools/local/start.ts', '/tmp/x']))
  expect(await unguarded.ended).toBe(1)
  expect(unguarded.output()).toContain('npm takes options for itself unless two dashes stand before them')
})

test('a folder in which no file can be created is reported in one sentence that names a solution', async () => {
  const file = join(data, 'a file')
  writeFileSync(file, '')
  for (const [folder, fault] of [
    [file, /it is a file .EEXIST/],
    [join(file, 'in it'), /a part of the path is a file .ENOTDIR/],
    ['/sys/orderstream', /(may not|forbids to) write there|read-only/]
  ] as const) {
    const program = track(launch(folder))
    expect(await program.ended).toBe(1)
    expect(program.output()).toMatch(/^Cannot write to .*npm start -- --data DIR\n$/)
    expect(program.output()).toMatch(fault)
  }
})
