import { readFileSync } from 'node:fs'

/** The ticks a second in /proc/<pid>/stat. This number (USER_HZ) is 100 on every Linux that Node.js supports. */
const TICKS = 100

/** Returns the processor time of all threads of a process so far (ms). */
function processorTime(pid: number): number {
  // The program name in parentheses may contain any character.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
  const [user, system] = fields.slice(11, 13).map(Number)
  return (((user ?? 0) + (system ?? 0)) / TICKS) * 1000
}

/** Returns the peak resident memory of a process, in MB. */
export function peakMemory(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
}

/** Calls `work` and measures the processor time of some processes. The unit is ms for each 1,000 of `count(result)`. */
export async function withProcessorTime<T>(
  processes: Record<string, number>,
  count: (result: T) => number,
  work: () => Promise<T>
): Promise<{ result: T; processor: Record<string, number> }> {
  const before = Object.entries(processes).map(([name, pid]) => [name, pid, processorTime(pid)] as const)
  const result = await work()
  const thousands = count(result) / 1000
  const processor = Object.fromEntries(
    before.map(([name, pid, then]) => [`cpu_${name}_ms`, (processorTime(pid) - then) / thousands])
  )
  return { result, processor }
}
