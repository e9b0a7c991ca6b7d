import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fastify from 'fastify'
import { expect, onTestFinished, test } from 'vitest'
import { loadFunctions, NoFunction } from '../src/load-functions.ts'

/** An app with a directory of such files loaded. */
async function load(files: Record<string, string>) {
  const dir = await mkdtemp(join(tmpdir(), 'orderstream-functions-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text)
  const app = fastify()
  onTestFinished(() => app.close())
  await loadFunctions(app, dir)
  return app
}

const FUNCTION = "export default async function (app) { app.get('/hello', async () => 'hello') }"

test('a file is a function by being there; what says that it is none, and what is no code, is left alone', async () => {
  const app = await load({
    'hello.ts': FUNCTION,
    'words.ts': 'export const autoload = false\nexport const word = 1',
    'README.md': 'about these'
  })
  expect((await app.inject('/hello')).body).toBe('hello')
})

test('a file that is no function is refused, not passed over', async () => {
  const loading = load({
    'hello.ts': FUNCTION,
    'forgotten.ts': 'export async function forgotten(app) {}',
    'list.ts': 'export default [1]'
  })
  await expect(loading).rejects.toThrow(NoFunction)
  await expect(loading).rejects.toThrow(/forgotten\.ts, \S+list\.ts: write/)
})
