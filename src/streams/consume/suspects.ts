/**
 * Of the messages that may be what kills this process, lets one at a time run in it, whatever function and partition
 * they are of: two at once would be counted up by the same death, and the innocent given up with the culprit.
 */
export interface Suspects {
  /** Makes room for one, before it is taken from Redis, which counts as a delivery; undefined while another one has it. */
  admit: () => (() => void) | undefined
}

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
