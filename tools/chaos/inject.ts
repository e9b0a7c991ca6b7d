import { setTimeout as delay } from 'node:timers/promises'
import { affectedBy, clusterInjections } from './cluster-faults.ts'
import { injections } from './faults.ts'
import { describeFault, type Fault, type FaultKind, isOfCluster, type MemberName } from './plan.ts'
import type { System } from './system.ts'

/** A fault that was injected. Times in ms since the start of the process. At `ended` the target works again. */
export interface DoneFault {
  kind: FaultKind
  target: MemberName
  began: number
  ended: number
  /** The partitions that it affected; undefined if it may have affected all. */
  partitions?: readonly number[] | undefined
  /** The ports of the servers that it affected, if these are servers of a cluster. */
  ports?: readonly number[] | undefined
}

const all = { ...injections, ...clusterInjections }

/**
 * Injects the planned faults. Their times count from this call. A fault waits until the previous fault of the same
 * target is over. Resolves to the injected faults when all are over.
 */
export async function injectFaults(
  system: System,
  plan: Fault[],
  say: (line: string) => void,
  signal: AbortSignal
): Promise<DoneFault[]> {
  const start = performance.now()
  const done: DoneFault[] = []
  const inject = async (fault: Fault) => {
    await delay(Math.max(0, start + fault.at - performance.now()), undefined, { signal })
    await system.members[fault.target].exclusively(async () => {
      const began = performance.now()
      try {
        const affected = isOfCluster(fault.kind) ? await affectedBy(system, fault) : {}
        const { kind, target } = fault
        const entry = { kind, target, began, ended: Number.POSITIVE_INFINITY, ...affected }
        await all[fault.kind](system, fault, signal)
        done.push(entry)
        entry.ended = performance.now()
        const late = began - start - fault.at
        const remark = `${late > 500 ? `, ${(late / 1000).toFixed(1)} s late` : ''}, over after ${((entry.ended - began) / 1000).toFixed(1)} s`
        say(`${describeFault(fault)}${remark}`)
      } catch (error) {
        if (signal.aborted) return
        system.incidents.push(
          `the fault ${fault.kind} of ${fault.target} failed: ${(error as Error).message}`
        )
      }
    })
  }
  await Promise.all(plan.map(inject))
  return done
}
