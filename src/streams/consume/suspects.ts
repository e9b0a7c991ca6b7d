/**
 * Lets one suspect at a time run in this process, over all functions and partitions. If two suspects ran at once, a
 * crash would count for both, and the harmless one would be dead-lettered too.
 */
export interface Suspects {
  /**
   * Admits a suspect. Call it before the message is taken from Redis, since taking counts as a delivery. Returns a
   * callback to call when the suspect has run; undefined while another suspect runs.
   */
  admit: () => (() => void) | undefined
}

/** Creates the limit on suspects. All consumers of a process use the same object. */
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
