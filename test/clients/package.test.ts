import { createHmac, randomBytes } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { freePort } from '../../tools/local/ports.ts'
import { blocksOf, read } from '../docs/pages.ts'
import { useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'
import { importsOf } from '../structure/sources.ts'
import { run } from '../tools/local/launcher.ts'
import { COMPILERS, library, makePackage, root, runNode } from './package.ts'

const space = await useSpace()
const page = await read('clients/typescript/README.md')
const commands = blocksOf(page, 'sh').flatMap(code => code.trim().split('\n'))
const programs = blocksOf(page, 'ts')

/** A folder in which the package is installed, as the README describes. */
let project = ''

beforeAll(async () => {
  expect(commands).toEqual(['npm ci', 'npm pack', expect.stringMatching(/^npm install \.\/\S+\.tgz$/)])
  const [, pack = '', install = ''] = commands
  project = await makePackage(pack, install)
  await Promise.all(programs.map((code, index) => writeFile(join(project, `program-${index}.ts`), code)))
  await writeFile(join(project, 'everything.ts'), await read('test/clients/everything.ts'))
})

/** Runs the one program of the README that calls `call`. */
function start(call: string, env: NodeJS.ProcessEnv = {}) {
  const found = programs.flatMap((code, index) => (code.includes(call) ? [index] : []))
  expect(found, call).toHaveLength(1)
  const program = run(process.execPath, [`program-${found[0]}.ts`], env, project)
  onTestFinished(async () => {
    program.child.kill()
    await program.ended
  })
  return program
}

async function startService(): Promise<string> {
  // A list has orders after some of these times, so that they may not be long.
  const { app } = await useApp(space, 'api', { STORE_TIMEOUT_MS: '1000' })
  await useApp(space, 'worker')
  return app.listen({ port: 0, host: '127.0.0.1' })
}

test('the package has the compiled library, its types, its README and its license, and needs no other package', async () => {
  const folder = join(project, 'node_modules/orderstream-client')
  const files = (await readdir(folder, { recursive: true })).filter(name => /\.\w+$|LICENSE/.test(name))
  const sources = await readdir(join(library, 'src'))
  const compiled = sources.flatMap(name =>
    ['.js', '.d.ts'].map(end => join('dist', name.replace('.ts', end)))
  )
  expect(files.toSorted()).toEqual(['LICENSE', 'README.md', 'package.json', ...compiled].toSorted())
  const { dependencies, peerDependencies } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  expect([dependencies, peerDependencies]).toEqual([undefined, undefined])
  const imported = sources.flatMap(name => importsOf(`clients/typescript/src/${name}`)).map(({ to }) => to)
  expect(imported.filter(to => !to.startsWith('clients/typescript/src/'))).toEqual([])
})

test('the license is that of the repository', async () => {
  expect(await read('clients/typescript/LICENSE')).toBe(await read('LICENSE'))
})

// A user has the types of Node.js or of the DOM, and one of two ways to resolve packages.
const TARGETS = {
  node: { module: 'nodenext', lib: ['esnext'], types: ['node'] },
  strictest: {
    ...{ module: 'nodenext', lib: ['esnext'], types: ['node'] },
    ...{ exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true }
  },
  browser: { module: 'esnext', moduleResolution: 'bundler', lib: ['esnext', 'dom'], types: [] }
}

test.each(Object.entries(COMPILERS))(
  'the types are valid for %s in strict mode',
  { timeout: 120_000 },
  async (name, compiler) => {
    const check = async (target: keyof typeof TARGETS, files: string[]) => {
      const file = `${name.replace(' ', '-')}-${target}.json`
      const typeRoots = [join(root, 'node_modules/@types')]
      const compilerOptions = { strict: true, noEmit: true, target: 'esnext', typeRoots, ...TARGETS[target] }
      await writeFile(join(project, file), JSON.stringify({ compilerOptions, files }))
      await runNode([compiler, '-p', file], project)
    }
    const all = ['everything.ts', ...programs.map((_, index) => `program-${index}.ts`)]
    await check('node', all)
    await check('strictest', all)
    await check('browser', ['everything.ts'])
    await writeFile(
      join(project, 'wrong.ts'),
      "import { Orderstream } from 'orderstream-client'\nnew Orderstream({})\n"
    )
    await expect(check('browser', ['wrong.ts'])).rejects.toThrow("Property 'url' is missing")
  }
)

test('the programs of the README send, list and refuse orders', { timeout: 120_000 }, async () => {
  const ORDERSTREAM_URL = await startService()
  const printed = async (call: string) => {
    const program = start(call, { ORDERSTREAM_URL })
    expect(await program.ended, program.output()).toBe(0)
    return program.output()
  }
  expect(await printed('client.waitFor(')).toMatch(/^processing false (fsync|memory)\ncompleted 118\n$/)
  expect(await printed('OrderstreamError)')).toMatch(/^order-conflict 409 \S.+\n$/)
  expect(await printed('client.createMany(')).toBe('1000 orders accepted\n')
  await until(
    'the list has the orders',
    async () => (await printed('client.list(')).includes('bulk-1000 1180\n'),
    60_000
  )
})

test('the watch of the README follows orders, and continues where it was stopped', {
  timeout: 60_000
}, async () => {
  const ORDERSTREAM_URL = await startService()
  const send = (order_id: string) =>
    fetch(`${ORDERSTREAM_URL}/orders`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ order_id, amount: 1 })
    })
  const first = start('client.watch(', { ORDERSTREAM_URL })
  let sent = 0
  // Until the watch is connected, its events are not for it.
  await until('the watch has an event', async () => {
    await send(`watched-${sent++}`)
    return first.output() !== ''
  })
  const position = () => readFile(join(project, 'position.txt'), 'utf8').catch(() => '')
  await until('the position is stored', async () => (await position()) !== '')
  first.child.kill()
  await first.ended
  await send('later')
  const second = start('client.watch(', { ORDERSTREAM_URL })
  await second.prints(/^order\.completed later$/m)
})

test('the webhook receiver of the README accepts what is signed, and nothing else', async () => {
  const WEBHOOK_SECRET = `whsec_${randomBytes(32).toString('base64')}`
  const PORT = String(await freePort())
  const receiver = start('verifyWebhook(', { WEBHOOK_SECRET, PORT })
  const body = JSON.stringify({
    type: 'order.failed',
    timestamp: '2026-01-31T12:00:00Z',
    data: { order_id: 'hooked' }
  })
  const time = Math.floor(Date.now() / 1000)
  const key = Buffer.from(WEBHOOK_SECRET.slice('whsec_'.length), 'base64')
  const signature = createHmac('sha256', key).update(`an-id.${time}.${body}`).digest('base64')
  const send = (text: string) =>
    fetch(`http://127.0.0.1:${PORT}`, {
      method: 'POST',
      headers: {
        'webhook-id': 'an-id',
        'webhook-timestamp': String(time),
        'webhook-signature': `v1,${signature}`
      },
      body: text
    }).then(
      ({ status }) => status,
      () => undefined
    )
  expect(await until('the receiver answers', () => send(body))).toBe(204)
  await receiver.prints(/^an-id order\.failed hooked$/m)
  expect(await send(`${body} `)).toBe(401)
})
