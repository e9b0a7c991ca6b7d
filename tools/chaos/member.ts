import { setTimeout as delay } from 'node:timers/promises'
import { describeExit } from '../local/process.ts'
import type { LocalServer } from '../local/server.ts'

/**
 * One process of the system, or several that have their faults together. A process keeps its port and its directory when
 * it restarts.
 */
export interface Member {
  name: string
  /** Runs one piece of work at a time, so that a process has one fault at a time. */
  exclusively: <T>(work: () => Promise<T>) => Promise<T>
  /** Sends SIGKILL. Resolves when the process has exited. */
  kill: () => Promise<void>
  /**
   * Starts the process, and tries again until it is ready.
   * @throws when the process is not ready in two minutes
   */
  start: () => Promise<void>
  signal: (signal: 'SIGSTOP' | 'SIGCONT') => void
  stop: () => Promise<void>
}

/** The process to start. */
export interface MemberOptions {
  name: string
  launch: () => Promise<LocalServer>
  /** Collects one line for each exit or failed start that no fault explains. */
  incidents: string[]
  signal: AbortSignal
}

const RESTART_PAUSE = 500
const START_WITHIN = 120_000

/** Creates a member of one process. It does not start the process. */
export function createMember({ name, launch, incidents, signal }: MemberOptions): Member {
  let server: LocalServer | undefined
  let expected = false
  let stopping = false
  let alive = false
  const { exclusively, idle } = createTurns()

  const start = async (): Promise<void> => {
    const deadline = performance.now() + START_WITHIN
    for (;;) {
      if (stopping) return
      signal.throwIfAborted()
      try {
        server = await launch()
        watch(server)
        return
      } catch (error) {
        signal.throwIfAborted()
        incidents.push(`${name} did not start: ${(error as Error).message.slice(0, 1500)}`)
        if (performance.now() > deadline) throw error
        await delay(RESTART_PAUSE)
      }
    }
  }

  /** Records the exit of a process that exits by itself, and restarts it. */
  const watch = (watched: LocalServer) => {
    alive = true
    expected = false
    watched.exited.then(exit => {
      alive = false
      if (expected || stopping || signal.aborted) return
      incidents.push(`${name} ended by itself with ${describeExit(exit)}`)
      exclusively(start).catch(() => {})
    })
  }

  return {
    name,
    exclusively,
    start,
    kill: async () => {
      if (!server || !alive) return
      expected = true
      process.kill(server.pid, 'SIGKILL')
      await server.exited
    },
    signal: which => {
      if (server && alive) process.kill(server.pid, which)
    },
    stop: async () => {
      stopping = true
      // Waits for a start in progress, which stops its process itself.
      await idle()
      await server?.stop()
    }
  }
}

/** Creates a member of several processes. A fault of all of them excludes other faults of the group. */
export function groupMembers(name: string, members: readonly Member[]): Member {
  const { exclusively, idle } = createTurns()
  const all = async (act: (member: Member) => Promise<void>) => {
    await Promise.all(members.map(act))
  }
  return {
    name,
    exclusively,
    start: () => all(member => member.exclusively(member.start)),
    kill: () => all(member => member.exclusively(member.kill)),
    signal: which => {
      for (const member of members) member.signal(which)
    },
    stop: async () => {
      await idle()
      await all(member => member.stop())
    }
  }
}

/** Runs one piece of work at a time. */
function createTurns(): Pick<Member, 'exclusively'> & { idle: () => Promise<unknown> } {
  let turn: Promise<unknown> = Promise.resolve()
  return {
    exclusively: work => {
      const mine = turn.then(work)
      turn = mine.catch(() => {})
      return mine
    },
    idle: () => turn
  }
}
