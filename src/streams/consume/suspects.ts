/**
 * Lets one suspect at a time run in this process, of whatever function and partition. With two at once, one death would
 * count for both, and the innocent would be dead-lettered with the culprit.
 */
export interface Suspects {
  /**
   * Admits a suspect, before it is taken from Redis, which counts as a delivery. Returns what ends its run, or undefined
   * while another one runs.
   */
  admit: () => (() => void) | undefined
}

/** Creates what all consumers of a process share. */
export function createSuspects(): Suspects {
  let busy = false
  return {
    admit: () => {
      if (busy) return undefined
      busy = true
      return () => {
        busy = false
      }
    }
  }
}
