/** The signals that ask a process to stop. */
export const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const

/** A signal that asks a process to stop. */
export type StopSignal = (typeof STOP_SIGNALS)[number]

/**
 * Interrupts within this time count as one Ctrl-C (ms). The terminal sends the signal to every process, and npm passes
 * it on.
 */
const SAME_KEY = 500

/** What a process does at the signals that ask it to stop. */
export interface StopHandlers {
  /** The first signal: begins the stop. */
  begin: (signal: StopSignal) => void
  /** A second Ctrl-C: ends the process at once. */
  endNow: () => void
  /** Any other signal during the stop: the stop continues. */
  ignore?: (signal: StopSignal) => void
}

/** Handles the signals that ask this process to stop. Only a second Ctrl-C shortens a stop that has begun. */
export function onStopSignals({ begin, endNow, ignore }: StopHandlers): void {
  let stopping = false
  let interrupted: number | undefined
  for (const signal of STOP_SIGNALS) {
    process.on(signal, () => {
      const now = performance.now()
      const again = interrupted !== undefined && now - interrupted > SAME_KEY
      if (signal === 'SIGINT') interrupted ??= now
      if (!stopping) {
        stopping = true
        begin(signal)
      } else if (signal === 'SIGINT' && again) endNow()
      else ignore?.(signal)
    })
  }
}
