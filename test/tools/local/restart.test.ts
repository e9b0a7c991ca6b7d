import { existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { until } from '../../harness/space.ts'
import { alive, launch, recordedPids } from './launcher.ts'

/** Runs the launcher with a worker that exits with 1 at SIGUSR2. Resolves when all processes run. */
async function launchEnding() {
  const data = realpathSync(mkdtempSync(join(tmpdir(), 'orderstream-restart-')))
  const NODE_OPTIONS = `--import ${join(import.meta.dirname, 'end-on-signal.ts')}`
  const program = launch(data, [], { NODE_OPTIONS })
  onTestFinished(async ({ task }) => {
    program.child.kill('SIGTERM')
    await program.ended
    if (task.result?.state === 'fail') console.error(`The data is kept in ${data}\n${program.output()}`)
    else rmSync(data, { recursive: true, force: true })
  })
  await program.prints(/Ctrl-C stops/)
  const [, worker] = await program.prints(/worker: (http:\S+)\/health\)/)
  /** Makes the worker exit with 1. Resolves to its process id. */
  const endWorker = () => {
    const pid = recordedPids(data).worker as number
    process.kill(pid, 'SIGUSR2')
    return pid
  }
  return {
    data,
    program,
    worker,
    endWorker,
    restarts: () => program.output().split('worker: ready again').length - 1
  }
}

test('the launcher restarts a worker that exits with 1, and still stops it in order', {
  timeout: 90_000
}, async () => {
  const { data, program, worker, endWorker, restarts } = await launchEnding()
  const before = recordedPids(data)
  endWorker()
  await program.prints(/worker ended by itself with code 1; it restarts in 1 s …/)
  await until('it runs again', () => restarts() === 1, 60_000)
  const after = recordedPids(data)
  expect(after).toMatchObject({ api: before.api, redis: before.redis, mariadb: before.mariadb })
  expect(after.worker).not.toBe(before.worker)
  expect((await fetch(`${worker}/health/ready`)).status).toBe(200)
  program.child.kill('SIGTERM')
  expect(await program.ended).toBe(0)
  expect(await alive(Object.values(after))).toEqual([])
})

test('the launcher pauses longer before each restart, and stops everything after five quick exits in a row', {
  timeout: 180_000
}, async () => {
  const { data, program, endWorker, restarts } = await launchEnding()
  for (let end = 1; end < 5; end++) {
    endWorker()
    await until('it runs again', () => restarts() === end, 60_000)
  }
  const pids = recordedPids(data)
  endWorker()
  expect(await program.ended).toBe(1)
  const pauses = [...program.output().matchAll(/it restarts in (\S+) s/g)].map(([, pause]) => Number(pause))
  expect(pauses).toEqual([1, 2, 4, 8])
  expect(program.output()).toContain('worker ended by itself with code 1; everything is stopped.')
  expect(await alive(Object.values(pids))).toEqual([])
})

test.each([
  ['in the pause before the worker restarts', () => true],
  ['while the worker restarts', (data: string) => existsSync(join(data, 'worker.pid'))]
])('a signal %s stops everything', { timeout: 90_000 }, async (_moment, hasCome) => {
  const { data, program, endWorker, restarts } = await launchEnding()
  const pids = Object.values(recordedPids(data))
  endWorker()
  await program.prints(/it restarts/)
  await until('the moment has come', () => hasCome(data))
  program.child.kill('SIGINT')
  expect(await program.ended).toBe(0)
  expect([recordedPids(data), restarts()]).toEqual([{}, 0])
  expect(await alive(pids)).toEqual([])
})
