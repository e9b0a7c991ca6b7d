const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/** When failed deliveries are tried again. Times are in milliseconds. */
export interface Pauses {
  /** The pause after the first failed attempt of a delivery, after the second, and so on. The last one repeats. */
  retry: readonly number[]
  /** A delivery fails for good when an attempt fails so long after the first one. */
  retryFor: number
  /** The failed deliveries in a row after which an endpoint is parked. */
  parkAfter: number
  /** The time that an endpoint stays parked, at first and after each failed probe. The last one repeats. */
  park: readonly number[]
  /** The longest `Retry-After` that is honoured. */
  longestRetryAfter: number
}

/** The pauses of the service. The retries are those that Standard Webhooks suggests. */
export const PAUSES: Pauses = {
  retry: [
    5 * SECOND,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR
  ],
  retryFor: 72 * HOUR,
  parkAfter: 3,
  park: [5 * SECOND, 15 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR],
  longestRetryAfter: HOUR
}

/**
 * Returns the pause before the next attempt of a delivery; undefined when there is none. `attempts` is the number of
 * failed attempts, and `age` the time since the first one began. The last attempt is at the end of `retryFor`.
 */
export function retryPause({ retry, retryFor }: Pauses, attempts: number, age: number): number | undefined {
  const left = retryFor - age
  if (left <= 0) return undefined
  return Math.min(withJitter(stepOf(retry, attempts)), left)
}

/** Returns how long an endpoint is parked after so many failures in a row; 0 while there are too few failures. */
export function parkPause({ park, parkAfter }: Pauses, failures: number): number {
  return failures < parkAfter ? 0 : withJitter(stepOf(park, failures - parkAfter + 1))
}

function stepOf(steps: readonly number[], number: number): number {
  return steps[Math.min(number, steps.length) - 1] ?? 0
}

/** Adds up to a tenth, so that the retries of many deliveries spread. */
function withJitter(pause: number): number {
  return Math.round(pause * (1 + Math.random() / 10))
}
