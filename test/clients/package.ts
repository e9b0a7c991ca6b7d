import { exec, execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, onTestFinished } from 'vitest'

/** The top folder of this repository, and that of the client library. */
export const root = join(import.meta.dirname, '../..')
/** The folder of the client library. */
export const library = join(root, 'clients/typescript')

/** The two compilers: the one of the client library, and that of this repository. */
export const COMPILERS = {
  'TypeScript 5': join(library, 'node_modules/typescript/bin/tsc'),
  'TypeScript 7': join(root, 'node_modules/typescript/bin/tsc')
}

/** Makes an empty folder. It is removed when the running test ends, unless the test fails. */
export async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'orderstream-client-'))
  onTestFinished(async ({ task }) => {
    if (task.result?.state === 'fail') console.error(`The files of the failed test are kept in ${folder}`)
    else await rm(folder, { recursive: true })
  })
  return folder
}

/** Runs a program of Node.js, and returns what it prints. Fails with its output when it fails. */
export async function runNode(args: string[], cwd: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const options = { cwd, env: { ...process.env, ...env }, maxBuffer: 16 * 1024 * 1024 }
  const { stdout } = await promisify(execFile)(process.execPath, args, options).catch(error => {
    throw new Error(`${args.join(' ')}: ${error.message}\n${error.stdout}`)
  })
  return stdout
}

/** Compiles the client library into a folder, as `npm pack` does. */
export async function compileInto(folder: string): Promise<void> {
  await runNode([COMPILERS['TypeScript 5'], '-p', library, '--outDir', folder], library)
}

/**
 * Makes the package with the command `pack`, and installs it in an empty folder with the command `install`. Returns the
 * folder. It is removed after the tests of the file.
 */
export async function makePackage(pack: string, install: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'orderstream-package-'))
  afterAll(() => rm(folder, { recursive: true }))
  const shell = promisify(exec)
  const env = { ...process.env, npm_config_audit: 'false', npm_config_fund: 'false' }
  await shell(pack, { cwd: library, env: { ...env, npm_config_pack_destination: folder } })
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  await shell(install, { cwd: folder, env: { ...env, npm_config_offline: 'true' } })
  return folder
}
