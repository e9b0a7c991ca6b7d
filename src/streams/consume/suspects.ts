/**
 * Lets one suspect at a time run in this process, over all functions and partitions. With two at once, one crash would
 * count for both, and the harmless one would be dead-lettered too.
 */
export interface Suspects {
  /**
   * Admits a suspect. Call it before the message is taken from Redis, since taking counts as a delivery. Returns a
   * callback that ends the run, or undefined while another suspect runs.
   */
  admit: () => (() => void) | undefined
}

/** Creates the gate for suspects, which all consumers of a process share. */
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
