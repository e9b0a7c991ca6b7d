import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspectProcess } from './process.ts'

/** Another running launcher uses the directory. */
export class LockedError extends Error {
  override name = 'LockedError'
  readonly holder: number

  constructor(holder: number) {
    super(`process ${holder} holds the lock`)
    this.holder = holder
  }
}

/**
 * Makes this process the only launcher of the directory. Returns the function that unlocks the directory. Replaces the
 * lock of a killed launcher: the process of the lock does not run, or runs another program.
 * @throws LockedError when another launcher is running
 */
export async function lockDirectory(dir: string, program: string): Promise<() => void> {
  const lock = join(dir, 'start.pid')
  const mine = `${lock}.${process.pid}`
  writeFileSync(mine, String(process.pid))
  try {
    // A link is atomic and fails if the lock exists, so no process reads a half-written lock.
    while (!linked(mine, lock)) await removeStale(lock, program)
  } finally {
    rmSync(mine, { force: true })
  }
  return () => rmSync(lock, { force: true })
}

async function removeStale(lock: string, program: string): Promise<void> {
  const holder = readPid(lock)
  if (holder === undefined) return
  const found = await inspectProcess(holder)
  if (found?.command.includes(program) && holder !== process.pid) throw new LockedError(holder)
  // This moves the file and checks it, because another launcher may have replaced the lock in the meantime.
  const stale = `${lock}.stale`
  try {
    renameSync(lock, stale)
    if (readPid(stale) !== holder) linked(stale, lock)
  } catch {
    // Another launcher has moved the lock before.
  }
  rmSync(stale, { force: true })
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function readPid(file: string): number | undefined {
  try {
    return Number(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}
