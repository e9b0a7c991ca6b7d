import type { Extent } from './results.ts'

/** How much of each phase is done. Times in seconds. */
export interface Plan {
  /** Rounds of requests, and how long each contestant's part of one is. */
  rounds: number
  seconds: number
  /** `appended`: messages that the limit appends in one round, about a second's; none is done without. */
  drain: { rounds: number; orders: number; peerOrders: number; appended?: number }
  /** The loads that look for the rate, the one that proves it, and the one at half of it; none is done without. */
  sustained?: { probe: number; hold: number; half: number }
  /** Rows that the table grows to, and orders that wait. */
  growth?: { rows: number[]; waiting: number; orders: number; rounds: number; seconds: number }
  workers?: { rounds: number; counts: number[]; orders: number }
  memory?: { orders: number }
}

export const plans: Record<Extent, Plan> = {
  full: {
    rounds: 5,
    seconds: 2,
    drain: { rounds: 3, orders: 200_000, peerOrders: 20_000, appended: 50_000 },
    sustained: { probe: 4, hold: 30, half: 15 },
    growth: { rows: [1_000_000, 10_000_000], waiting: 1_000_000, orders: 60_000, rounds: 3, seconds: 2 },
    workers: { rounds: 3, counts: [1, 2, 4], orders: 50_000 },
    memory: { orders: 50_000 }
  },
  quick: {
    rounds: 2,
    seconds: 2,
    drain: { rounds: 1, orders: 50_000, peerOrders: 5000 },
    memory: { orders: 25_000 }
  },
  check: {
    rounds: 3,
    seconds: 2,
    drain: { rounds: 2, orders: 40_000, peerOrders: 4000 }
  }
}

/** Least and most that a ratio may be: the aim of a full run, and far below it what fails a check. */
export const aims = {
  acceptLimitEverysec: { full: { atLeast: 0.6 } },
  acceptLimitAlways: { full: { atLeast: 0.48 }, check: { atLeast: 0.24 } },
  acceptBullmq: { full: { atLeast: 1.6 }, check: { atLeast: 0.5 } },
  read: { full: { atLeast: 0.85 }, check: { atLeast: 0.3 } },
  drainLimit: { full: { atLeast: 0.35 }, check: { atLeast: 0.12 } },
  drainBullmq: { full: { atLeast: 5 }, check: { atLeast: 2 } },
  sustainedBullmq: { full: { atLeast: 4 } },
  growth: { full: { atLeast: 0.8 } },
  metricsGrowth: { full: { atMost: 1.25 } },
  waiting: { full: { atLeast: 0.9 } }
} as const satisfies Record<string, Partial<Record<Extent, { atLeast?: number; atMost?: number }>>>
