import { cp, mkdir, mkdtemp, rm, symlink, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { postOrder } from '../../harness/service.ts'
import { until, useSpace } from '../../harness/space.ts'
import { root, run } from './launcher.ts'

const space = await useSpace()

/** Characters with a meaning in a URL, in a glob or in a shell. */
const ODD = "a #b?%2F 100% é *[x]{y}(z)!'q"

test(`npm start works in a folder named ${ODD}`, { timeout: 120_000 }, async () => {
  const base = await mkdtemp(join(tmpdir(), 'orderstream-odd-'))
  const dir = join(base, ODD)
  await mkdir(dir)
  const parts = [
    'src',
    'plugins',
    'handlers',
    'schema',
    'migrations',
    'tools/local',
    'package.json',
    'package-lock.json'
  ]
  for (const part of parts) await cp(join(root, part), join(dir, part), { recursive: true })
  await symlink(join(root, 'node_modules'), join(dir, 'node_modules'))
  // This file is older than the dependencies, so that set-up does not install them again.
  await utimes(join(dir, 'package-lock.json'), 0, 0)

  const program = run('npm', ['start'], { ...space.env, MAX_EVENT_LOOP_DELAY_MS: '0' }, dir)
  onTestFinished(async ({ task }) => {
    program.child.kill('SIGTERM')
    await program.ended
    if (task.result?.state === 'fail')
      console.error(`${program.output()}\nIts logs are kept in ${dir}/.local`)
    else await rm(base, { recursive: true })
  })
  const [, url = ''] = await program.prints(/API {2,}(http:\S+)[\s\S]*Ctrl-C stops/)
  await until('an order is accepted', async () => (await postOrder(url, 'odd', 1)).status < 300, 60_000)
  const completed = async () => {
    const order = (await (await fetch(`${url}/orders/odd`)).json()) as { status: string }
    return order.status === 'completed'
  }
  await until('it is completed, and so MySQL migrated', completed, 60_000)
  program.child.kill('SIGTERM')
  expect(await program.ended).toBe(0)
})
