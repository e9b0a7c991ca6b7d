import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { CommandError } from '../../local/command.ts'
import { nodeFlags } from '../../local/service.ts'

const run = promisify(execFile)

/** A source tree of the service that can be started. */
export interface Tree {
  dir: string
  /** The revision and the subject of the commit. */
  label: string
  /** The command that starts one process of the tree. */
  program: Program
}

/** The path of Node.js, its flags, and the absolute path of the entry file. */
export interface Program {
  command: string
  flags: string[]
  entry: string
}

/** The possible entry files of a tree, if its Dockerfile names none. */
const ENTRIES = ['src/main.ts', 'main.ts', 'src/index.ts', 'index.ts']

/** Returns the tree of this command in its current state, with uncommitted changes. */
export async function thisTree(dir: string, signal: AbortSignal): Promise<Tree> {
  const { stdout } = await git(dir, ['status', '--porcelain'], signal)
  const label = await describe(dir, await commitOf(dir, 'HEAD', signal), signal)
  return {
    dir,
    label: stdout ? `${label}, with uncommitted changes` : label,
    program: await findProgramOf(dir)
  }
}

/**
 * Puts another revision of a repository and its dependencies into the directory `dir`. Does not change the repository.
 * @throws {CommandError} when the repository has no such revision
 */
export async function checkOut(
  repository: string,
  revision: string,
  dir: string,
  signal: AbortSignal
): Promise<Tree> {
  const commit = await commitOf(repository, revision, signal)
  const label = await describe(repository, commit, signal)
  await mkdir(dir, { recursive: true })
  const archive = `${dir}.tar`
  await git(repository, ['archive', `--output=${archive}`, commit], signal)
  await run('tar', ['-xf', archive, '-C', dir], { signal })
  await rm(archive)
  await install(repository, dir, signal)
  return { dir, label, program: await findProgramOf(dir) }
}

/**
 * Installs the dependencies of a tree. If both lock files are the same, creates a link to the dependencies of this
 * tree. Otherwise calls npm.
 */
async function install(repository: string, dir: string, signal: AbortSignal): Promise<void> {
  const lock = (tree: string) => readFile(join(tree, 'package-lock.json'), 'utf8')
  if ((await lock(repository)) === (await lock(dir))) {
    await symlink(join(repository, 'node_modules'), join(dir, 'node_modules'))
    return
  }
  await run('npm', ['ci', '--include=dev', '--no-audit', '--no-fund'], {
    cwd: dir,
    signal,
    maxBuffer: 2 ** 26
  })
}

/** Returns the program of a tree, as in its Dockerfile. Uses the Node.js of its dependencies if they include one. */
export async function findProgramOf(dir: string): Promise<Program> {
  const own = join(dir, 'node_modules/node/bin/node')
  const command = existsSync(own) ? own : process.execPath
  const dockerfile = await readFile(join(dir, 'Dockerfile'), 'utf8').catch(() => '')
  const words = [...instruction(dockerfile, 'ENTRYPOINT'), ...instruction(dockerfile, 'CMD')]
  const entry = [words.at(-1), ...ENTRIES].find(path => path?.endsWith('.ts') && existsSync(join(dir, path)))
  if (!entry)
    throw new CommandError(`${dir} has no entry of the service: neither its Dockerfile's nor ${ENTRIES}.`)
  const flags = words.at(-1) === entry ? words.slice(1, -1) : nodeFlags
  return { command, flags, entry: join(dir, entry) }
}

/** Returns the words of the last instruction of this name. Ignores indented ones, such as the CMD of a health check. */
function instruction(dockerfile: string, name: string): string[] {
  const last = [...dockerfile.matchAll(new RegExp(`^${name} +(\\[.*\\]) *$`, 'gm'))].at(-1)?.[1]
  return last ? (JSON.parse(last) as string[]) : []
}

async function describe(repository: string, commit: string, signal: AbortSignal): Promise<string> {
  const { stdout } = await git(repository, ['log', '--max-count=1', '--format=%h %s', commit, '--'], signal)
  return stdout.trim()
}

async function commitOf(repository: string, revision: string, signal: AbortSignal): Promise<string> {
  try {
    const args = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`]
    return (await git(repository, args, signal)).stdout.trim()
  } catch (error) {
    signal.throwIfAborted()
    throw new CommandError(
      `${repository} has no revision ${revision}. If it is a shallow clone, git fetch --unshallow brings the rest.`,
      { cause: error }
    )
  }
}

function git(dir: string, args: string[], signal: AbortSignal) {
  return run('git', args, { cwd: dir, signal, maxBuffer: 2 ** 26 })
}
