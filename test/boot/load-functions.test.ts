import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import fastify from 'fastify'
import { expect, onTestFinished, test } from 'vitest'
import { loadFunctions, NoFunction } from '../../src/boot/load-functions.ts'

/** Writes files into a new directory, and returns its path. */
async function write(files: Record<string, string>) {
  const dir = await mkdtemp(join(tmpdir(), 'orderstream-functions-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text)
  return dir
}

/** Loads these files as functions into a new app. */
async function load(files: Record<string, string>) {
  const dir = await write(files)
  const app = fastify()
  onTestFinished(() => app.close())
  await loadFunctions(app, dir)
  return app
}

/** Loads these files in a new process, in which Node.js runs the TypeScript. Returns the lines of the error. */
async function failureOf(files: Record<string, string>) {
  const dir = await write(files)
  const source = pathToFileURL(join(import.meta.dirname, '../../src/boot/load-functions.ts'))
  const script = `
    const { default: fastify } = await import('fastify')
    const { loadFunctions } = await import(${JSON.stringify(source)})
    await loadFunctions(fastify(), ${JSON.stringify(dir)}).catch(error => console.log(error.name + ': ' + error.message))`
  const cwd = join(import.meta.dirname, '../..')
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    cwd
  })
  return stdout.replaceAll(`${dir}/`, '').split('\n').slice(0, -1)
}

const FUNCTION = "export default async function (app) { app.get('/hello', async () => 'hello') }"

test('each file is loaded as a function, except tests, other file types and files with autoload = false', async () => {
  const app = await load({
    'hello.ts': FUNCTION,
    'words.ts': 'export const autoload = false\nexport const word = 1',
    'hello.test.ts': "throw new Error('a test runs in the service')",
    'hello.spec.js': 'export const nothing = 1',
    'README.md': 'about these'
  })
  expect((await app.inject('/hello')).body).toBe('hello')
})

test('a file without a function as default export is refused', async () => {
  const loading = load({
    'hello.ts': FUNCTION,
    'forgotten.ts': 'export async function forgotten(app) {}',
    'list.ts': 'export default [1]'
  })
  await expect(loading).rejects.toThrow(NoFunction)
  await expect(loading).rejects.toThrow(/forgotten\.ts, \S+list\.ts: write/)
})

test('a file index.ts does not hide the files beside it', async () => {
  const app = await load({
    'index.ts': "export default async function (app) { app.get('/', async () => 'index') }",
    'hello.ts': FUNCTION
  })
  expect((await app.inject('/hello')).body).toBe('hello')
  expect((await app.inject('/')).body).toBe('index')
})

test('an error names each file that cannot be loaded, with the cause and a remedy', async () => {
  const lines = await failureOf({
    'a-enum.ts': 'export enum Status { Paid }\nexport default async function () {}',
    'b-imports.ts': "import { Status } from './a-enum.ts'\nexport default async () => Status",
    'c-property.ts': 'class A { constructor(private a: string) {} }\nexport default async () => A',
    'd-namespace.ts': 'namespace A { export const a = 1 }\nexport default async () => A',
    'e-syntax.ts': 'export default async function ( {',
    'f-path.ts': "import { a } from './words.js'\nexport default async () => a",
    'g-package.ts': "import a from 'not-installed'\nexport default async () => a",
    'h-type.ts': "import { Word } from './words.ts'\nexport default async (a: Word) => a",
    'i-throws.ts': "throw new Error('no luck')",
    'j-syntax.js': 'export default async function ( {',
    'k-throws-text.js': "throw 'no luck'",
    'words.ts': 'export const autoload = false\nexport interface Word {}'
  })
  expect(lines).toEqual([
    expect.stringMatching(/^FunctionFailed: a-enum\.ts:1: .*enum.*: write `const Status = .* as const`/),
    expect.stringMatching(/^a-enum\.ts:1, which b-imports\.ts imports: .*enum/),
    expect.stringMatching(/^c-property\.ts:1: .*parameter property.*: declare a field/),
    expect.stringMatching(/^d-namespace\.ts:1: .*namespace.*: export from a file/),
    expect.stringMatching(/^e-syntax\.ts:1 has a syntax error: /),
    expect.stringMatching(/^f-path\.ts: Cannot find module 'words\.js'.*ends with its extension/),
    expect.stringMatching(/^g-package\.ts: Cannot find package 'not-installed'.*has to be installed/),
    expect.stringMatching(/^h-type\.ts.*'Word'.*Import a type with `import type`/),
    expect.stringMatching(/^i-throws\.ts:1 fails while it is loaded: no luck$/),
    expect.stringMatching(/^j-syntax\.js, or a file that it imports, has a syntax error: /),
    'k-throws-text.js fails while it is loaded: no luck'
  ])
})

test('an error names the file, the line and the cause when a function throws while it is registered', async () => {
  const thrown =
    "\nexport default async function () {\n  throw new Error('no luck', { cause: new Error('port 1') })\n}"
  expect(await failureOf({ 'fails.ts': thrown, 'hello.ts': FUNCTION })).toEqual([
    'FunctionFailed: fails.ts:3 cannot be registered: no luck (port 1)'
  ])
})
