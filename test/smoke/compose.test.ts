import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Env } from '../../schema/config/env.ts'
import type { Metrics } from '../../schema/http/metrics.ts'
import { differences, examples } from './readme.ts'
import {
  command,
  completed,
  compose,
  containers,
  docker,
  healthy,
  image,
  logLines,
  nodeImage,
  port,
  program,
  remains,
  request,
  root,
  SERVICES,
  tearDown,
  until,
  up
} from './stack.ts'

/** Settings that the image or the compose file sets: where to listen, and which stores. */
const FIXED = new Set([
  ...['MODE', 'NODE_ENV', 'HOST', 'PORT'],
  ...['REDIS_PORT', 'REDIS_USERNAME', 'REDIS_TLS', 'REDIS_CLUSTER', 'DB_PORT', 'DB_TLS'],
  ...['REDIS_SENTINELS', 'REDIS_SENTINEL_NAME', 'REDIS_SENTINEL_PASSWORD']
])

// This does nothing after the last test, because the last test also tears down.
t.teardown(async () => {
  for (const fault of await tearDown({ withLogs: !t.passing() })) console.error(fault)
})

/** Posts an order, and expects its acceptance. */
const accept = async (t: Test, order_id: string, amount: number | string = 100) => {
  const { status, body } = await request('/orders', { order_id, amount })
  t.equal(status, 202, `${order_id} is accepted`)
  t.equal(body.order_id, order_id)
}

/** Every log line of the processes of both modes. */
const processLogs = async () => {
  const all = [...(await containers('api')), ...(await containers('worker'))]
  return (await Promise.all(all.map(logLines))).flat()
}

const isEntry = (line: string) => {
  try {
    return typeof JSON.parse(line).level === 'number'
  } catch {
    return false
  }
}

/** The size of the layers of an image on disk, in megabytes, with any image store of the engine. */
const imageSize = async (name: string) => {
  const layers = await docker('history', '--human=false', '--format', '{{.Size}}', name)
  return Math.round(
    layers
      .trim()
      .split('\n')
      .reduce((sum, layer) => sum + Number(layer), 0) / 1e6
  )
}

const connects = (host: string) =>
  new Promise<boolean>(resolve => {
    const socket = connect({ host, port, timeout: 3000 })
    const end = (result: boolean) => {
      socket.destroy()
      resolve(result)
    }
    socket.on('connect', () => end(true))
    socket.on('error', () => end(false))
    socket.on('timeout', () => end(false))
  })

await t.test('compose up builds one image and every container becomes healthy', async t => {
  t.comment(`with ${program.join(' ')}`)
  const { stdout, stderr } = await up('--build')
  // Warnings about the builder are about the machine.
  const complaints = `${stdout}\n${stderr}`
    .split('\n')
    .filter(line => /\bwarn|deprecat/i.test(line) && !/buildx|bake|legacy builder/i.test(line))
  t.strictSame(complaints, [], 'no warning')
  for (const { Name, HostConfig } of await healthy(4))
    t.equal(HostConfig.RestartPolicy.Name, 'unless-stopped', Name)
  const [[api], [worker]] = await Promise.all([containers('api'), containers('worker')])
  t.ok(api !== undefined && api.Image === worker?.Image, 'api and worker run the same image')
})

// Without a stack, every other test would wait for the stack and fail.
if (!t.passing()) {
  await tearDown({ withLogs: true })
  t.bailout('the stack did not start')
}

await t.test('the commands of the README return the answers in the README', async t => {
  const all = await examples()
  t.equal(all.length, 3, 'it shows three')
  for (const { command: line, answer } of all) {
    const here = line.replaceAll('localhost:3000', `localhost:${port}`)
    const matches = async () => {
      const faults = differences(answer, JSON.parse((await command('sh', ['-c', here])).stdout))
      if (faults.length > 0) throw new Error(faults.join('; '))
      return true
    }
    // The worker needs a moment, so every command except a POST is repeated.
    t.ok(await (line.includes('POST') ? matches() : until(line, matches, 20)), line)
  }
})

await t.test('the compose file has no warning, and passes every setting on', async t => {
  const { stdout, stderr } = await compose(['config'], { set: { TAX_RATE: '0.25' } })
  t.equal(stderr, '', 'no warning')
  t.equal(stdout.match(/TAX_RATE: '?"?0\.25/g)?.length, 2, 'to both modes')
  const text = await readFile(join(root, 'docker-compose.yml'), 'utf8')
  t.strictSame(
    Object.keys(Env.properties).filter(name => !FIXED.has(name) && !text.includes(`\n  ${name}:`)),
    [],
    'no setting is left out'
  )
})

await t.test('health reports both stores as connected', async t => {
  const { status, body } = await request('/health')
  t.equal(status, 200)
  t.match(body, { status: 'healthy', services: { redis: 'connected', database: 'connected' } })
})

await t.test('an order is completed', async t => {
  await accept(t, 'smoke-1')
  t.match(await completed('smoke-1'), { amount: 100, tax: 18, total: 118 })
  await accept(t, 'smoke-2', '0.0025')
  t.match(await completed('smoke-2'), { amount: 0.0025, tax: 0.0005, total: 0.003 })
})

await t.test('the image adds under 150 MB to its base', async t => {
  // BuildKit does not list the base image.
  await command('docker', ['image', 'inspect', nodeImage]).catch(() =>
    command('docker', ['pull', '--quiet', nodeImage], { timeout: 180_000 })
  )
  const added = (await imageSize(image)) - (await imageSize(nodeImage))
  t.comment(`it adds ${added} MB`)
  t.ok(added > 0 && added < 150)
  const documented = /adds (\d+) MB to its base/.exec(await readFile(join(root, 'README.md'), 'utf8'))?.[1]
  t.ok(Math.abs(Number(documented) - added) < 5, `README.md states ${documented}`)
})

for (const service of ['api', 'worker'] as const)
  await t.test(`${service} runs without rights that it does not need`, async t => {
    const [container] = await containers(service)
    const { ReadonlyRootfs, CapDrop, SecurityOpt } = container?.HostConfig ?? {}
    t.equal(ReadonlyRootfs, true)
    t.strictSame(CapDrop, ['ALL'])
    t.match(SecurityOpt, [/^no-new-privileges/])
    const id = container?.Id ?? ''
    t.equal((await docker('exec', id, 'id', '-un')).trim(), 'node')
    await docker('exec', id, 'touch', '/tmp/file')
    // Not even root may write, although root owns the files.
    const writing = docker('exec', '--user', 'root', id, 'touch', '/app/package.json')
    await t.rejects(writing, { message: /read-only file system/i })
  })

await t.test('only the port of the API is published, and on loopback only', async t => {
  const published = (await containers()).flatMap(({ NetworkSettings }) =>
    Object.values(NetworkSettings.Ports).flatMap(bindings => bindings ?? [])
  )
  t.strictSame(published, [{ HostIp: '127.0.0.1', HostPort: String(port) }])
  t.equal(await connects('127.0.0.1'), true)
  const others = Object.values(networkInterfaces()).flatMap(
    all => all?.filter(({ internal }) => !internal) ?? []
  )
  for (const { address, family } of others)
    if (family === 'IPv4') t.equal(await connects(address), false, address)
})

await t.test('the logs are JSON without a warning', async t => {
  const lines = await processLogs()
  t.ok(lines.length > 0)
  t.strictSame(
    lines.filter(line => !isEntry(line) || JSON.parse(line).level >= 40),
    []
  )
})

for (const service of SERVICES)
  await t.test(`orders are completed after a restart of ${service}`, async t => {
    // The order is accepted, but may not be processed yet when the container stops.
    await accept(t, `before-${service}`)
    await compose(['restart', service], { timeout: 120_000 })
    await healthy(4)
    await until('the API is healthy', async () => (await request('/health')).body.status === 'healthy')
    await accept(t, `after-${service}`)
    for (const id of ['smoke-1', `before-${service}`, `after-${service}`])
      t.match(await completed(id), { amount: 100, tax: 18, total: 118 }, id)
  })

await t.test('the log of every container is bounded', async t => {
  for (const { Name, HostConfig } of await containers()) {
    t.equal(HostConfig.LogConfig.Type, 'json-file', Name)
    t.strictSame(HostConfig.LogConfig.Config, { 'max-file': '5', 'max-size': '20m' }, Name)
  }
})

await t.test('a second worker processes orders, too', async t => {
  await up('--no-recreate', '--scale', 'worker=2')
  const workers = await healthy(2, 'worker')
  const ask = `fetch('http://127.0.0.1:3000/health').then(r => r.text()).then(console.log)`
  for (const { Id, Name } of workers)
    await until(
      `${Name} sees both stores`,
      async () => JSON.parse(await docker('exec', Id, 'node', '-e', ask)).status === 'healthy'
    )
  const ids = Array.from({ length: 40 }, (_, i) => `scaled-${i}`)
  await Promise.all(ids.map(id => accept(t, id)))
  await Promise.all(ids.map(completed))
})

await t.test('metrics agree with the orders that were sent', async t => {
  // The README sends one order, a test two, each restart two, and the test of the second worker 40.
  const orders = 1 + 2 + 2 * SERVICES.length + 40
  const { database, queue } = await until('every message is settled', async () => {
    const { services, queue } = (await request('/metrics')).body as Metrics
    // An order shows as completed as soon as it is in MySQL, and its message is settled a moment later.
    return queue.depth === 0 && { database: services.database, queue }
  })
  t.match(database.stats, {
    total_orders: orders,
    completed_orders: orders,
    processing_orders: 0,
    failed_orders: 0
  })
  t.equal(queue.pending, 0)
})

await t.test('restarts log only JSON, and no deprecation', async t => {
  const lines = await processLogs()
  t.strictSame(
    lines.filter(line => !isEntry(line) || /deprecat|ExperimentalWarning/i.test(line)),
    []
  )
})

await t.test('a stop ends every container with exit code 0', async t => {
  await compose(['stop'], { timeout: 120_000 })
  for (const service of ['api', 'worker'] as const)
    for (const { Name, State } of await containers(service)) t.equal(State.ExitCode, 0, Name)
})

await t.test('the tear-down removes everything', async test => {
  test.strictSame(await tearDown({ withLogs: !t.passing() }), [])
  test.strictSame(await remains(), [])
})
