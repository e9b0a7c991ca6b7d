import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { checkOut, findProgramOf } from '../../../../tools/bench/against/tree.ts'
import { CommandError } from '../../../../tools/local/command.ts'
import { nodeFlags, root } from '../../../../tools/local/service.ts'

const { signal } = new AbortController()
let dir: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orderstream-against-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

async function write(files: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(dir, path)), { recursive: true })
    await writeFile(join(dir, path), text)
  }
}

test('this tree starts with the command of its Dockerfile and of npm start', async () => {
  const { flags, entry } = await findProgramOf(root)
  expect(entry).toBe(join(root, 'src/main.ts'))
  expect(flags).toEqual(nodeFlags)
})

test('the entry of a revision is read from its Dockerfile', async () => {
  const dockerfile = [
    'HEALTHCHECK --interval=5s \\',
    '  CMD ["node", "probe.ts"]',
    'CMD ["node", "--max-semi-space-size=8", "source/start.ts"]'
  ]
  await write({ Dockerfile: dockerfile.join('\n'), 'source/start.ts': '', 'probe.ts': '', 'src/main.ts': '' })
  expect(await findProgramOf(dir)).toEqual({
    command: process.execPath,
    flags: ['--max-semi-space-size=8'],
    entry: join(dir, 'source/start.ts')
  })
  await write({ Dockerfile: 'ENTRYPOINT ["node"]\nCMD ["--no-opt", "source/start.ts"]' })
  expect(await findProgramOf(dir)).toMatchObject({
    flags: ['--no-opt'],
    entry: join(dir, 'source/start.ts')
  })
})

test('a revision without a Dockerfile has a default entry, and a revision without any entry is refused', async () => {
  await write({ Dockerfile: 'CMD npm start', 'src/main.ts': '' })
  expect(await findProgramOf(dir)).toMatchObject({ flags: nodeFlags, entry: join(dir, 'src/main.ts') })
  await rm(join(dir, 'src'), { recursive: true })
  await expect(findProgramOf(dir)).rejects.toThrow(CommandError)
})

test('another revision is checked out with its files and dependencies, and the repository stays unchanged', async () => {
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=test', '-c', 'user.email=test@example.com', ...args], {
      cwd: dir,
      encoding: 'utf8'
    })
  git('init', '--quiet')
  await write({ 'src/main.ts': 'first', 'package-lock.json': '{}', '.gitignore': 'node_modules' })
  git('add', '.')
  git('commit', '--quiet', '--message', 'The first')
  await write({ 'src/main.ts': 'second', 'node_modules/fastify/index.js': '' })
  git('commit', '--quiet', '--all', '--message', 'The second')

  const other = join(dir, 'node_modules/other')
  const tree = await checkOut(dir, 'HEAD~1', other, signal)
  expect(await readFile(tree.program.entry, 'utf8')).toBe('first')
  expect(tree.label).toMatch(/^[0-9a-f]{7,} The first$/)
  expect(await readlink(join(other, 'node_modules'))).toBe(join(dir, 'node_modules'))
  expect(git('status', '--porcelain')).toBe('')
  expect(git('worktree', 'list').trim().split('\n')).toHaveLength(1)

  for (const unknown of ['nowhere', '--help']) {
    const failing = checkOut(dir, unknown, join(dir, 'node_modules/none'), signal)
    await expect(failing).rejects.toThrow(`has no revision ${unknown}`)
    await expect(failing).rejects.toBeInstanceOf(CommandError)
  }
})
