import { execFileSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { root, run } from './launcher.ts'

// This is a clone with its dependencies, on a machine without the stores and without a package manager.
const clone = mkdtempSync(join(tmpdir(), 'orderstream-setup-'))
const programs = join(clone, 'programs')
const script = join(clone, 'tools/local/setup.sh')

mkdirSync(join(clone, 'tools/local'), { recursive: true })
mkdirSync(join(clone, 'node_modules/.bin'), { recursive: true })
for (const folder of ['.', 'clients/typescript']) {
  mkdirSync(join(clone, folder, 'node_modules'), { recursive: true })
  writeFileSync(join(clone, folder, 'package-lock.json'), '{}')
  writeFileSync(join(clone, folder, 'node_modules/.package-lock.json'), '{}')
}
mkdirSync(programs)
cpSync(join(root, 'tools/local/setup.sh'), script)
symlinkSync(process.execPath, join(clone, 'node_modules/.bin/node'))
for (const name of ['dirname', 'find', 'id', 'uname', 'sed', 'cat', 'date', 'rm']) {
  const path = execFileSync('/bin/sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim()
  symlinkSync(path, join(programs, name))
}

afterAll(() => rmSync(clone, { recursive: true, force: true }))

function setup(needs: string, env: NodeJS.ProcessEnv = {}) {
  return run('/bin/sh', [script, needs], { PATH: programs, ORDERSTREAM_STORE_DIRS: '', ...env })
}

test('without the right to install, one message names what is missing and two solutions', async () => {
  const program = setup('test')
  expect(await program.ended).toBe(1)
  expect(program.output()).toMatch(
    /^Set-up: missing: Redis 7\.0 or newer \(redis-server\) and MariaDB 10\.6 or newer \(mariadbd\)(?: and Chromium)?\. Two ways out:\n {2}- install it: .*redis.*mariadb.*\n {2}- or use Docker: {2}docker compose up --build\n$/
  )
})

test('the message names only what is missing', async () => {
  const fromDatabaseHost = setup('start', { DB_HOST: 'db.example' })
  expect(await fromDatabaseHost.ended).toBe(1)
  expect(fromDatabaseHost.output()).toContain('missing: Redis 7.0 or newer (redis-server).')
  expect(fromDatabaseHost.output()).not.toMatch(/mariadb/i)
})

test('npm start needs no store that the environment names, and npm test needs both', async () => {
  const stores = { REDIS_HOST: 'redis.example', DB_HOST: 'db.example' }
  const start = setup('start', stores)
  expect(await start.ended).toBe(0)
  expect(start.output()).toBe('')
  expect(await setup('test', stores).ended).toBe(1)
})

test('a store that is too old counts as missing', async () => {
  const old = join(clone, 'old')
  mkdirSync(old)
  writeFileSync(
    join(old, 'redis-server'),
    '#!/bin/sh\necho "Redis server v=6.0.16 sha=00000000:0 bits=64"\n',
    { mode: 0o755 }
  )
  const program = setup('start', { DB_HOST: 'db.example', ORDERSTREAM_STORE_DIRS: old })
  expect(await program.ended).toBe(1)
  expect(program.output()).toContain('missing: Redis 7.0 or newer')
})

/** A lock file that is newer than the dependencies, and an npm that prints its arguments and fails. */
function outdate() {
  const lock = join(clone, 'package-lock.json')
  const later = new Date(Date.now() + 60_000)
  utimesSync(lock, later, later)
  const npm = join(programs, 'npm')
  writeFileSync(npm, '#!/bin/sh\necho "npm was called with $*"\nexit 1\n', { mode: 0o755 })
}

test('dependencies that are older than the lock file are installed again, and a failure shows the reason', async () => {
  outdate()
  const program = setup('start')
  expect(await program.ended).toBe(1)
  expect(program.output()).toContain('npm was called with ci --include=dev')
  expect(program.output()).toContain('Set-up: npm ci failed; its output is above.')
})

test('dependencies in a folder that is a symbolic link are not deleted', async () => {
  outdate()
  const [modules, elsewhere] = [join(clone, 'node_modules'), join(clone, 'elsewhere')]
  renameSync(modules, elsewhere)
  symlinkSync(elsewhere, modules)
  onTestFinished(() => {
    unlinkSync(modules)
    renameSync(elsewhere, modules)
  })
  const program = setup('start')
  expect(await program.ended).toBe(1)
  expect(program.output()).toMatch(
    /^Set-up: \.\/node_modules is a link .+ Remove the link \(rm \.\/node_modules\) and try again\.\n$/
  )
})
