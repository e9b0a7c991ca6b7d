import type { Extent } from './results.ts'

/** The size of each phase. A phase without an entry does nothing. Times in seconds. */
export interface Plan {
  /** The number of rounds, and the length of one turn of a contestant. */
  rounds: number
  seconds: number
  /** `appended` is the number of messages that the limit appends in one round. A round takes about a second. */
  drain: { rounds: number; orders: number; peerOrders: number; appended?: number }
  /** The number of orders of one round, for the service and for a peer. */
  batch?: { rounds: number; orders: number; peerOrders: number }
  /** `seconds` is the length of one load. */
  wait?: { rounds: number; seconds: number }
  /** The lengths of the short loads (`probe`), the long loads (`hold`) and the load at half the rate (`half`). */
  sustained?: { probe: number; hold: number; half: number }
  /** `rows` has the sizes of the table, and `waiting` is the number of waiting orders. */
  growth?: { rows: number[]; waiting: number; orders: number; rounds: number; seconds: number }
  workers?: { rounds: number; counts: number[]; orders: number }
  memory?: { orders: number }
}

/** The plan of each extent. */
export const plans: Record<Extent, Plan> = {
  full: {
    rounds: 5,
    seconds: 2,
    drain: { rounds: 3, orders: 200_000, peerOrders: 20_000, appended: 50_000 },
    batch: { rounds: 5, orders: 100_000, peerOrders: 30_000 },
    wait: { rounds: 5, seconds: 3 },
    sustained: { probe: 4, hold: 30, half: 15 },
    growth: { rows: [1_000_000, 10_000_000], waiting: 1_000_000, orders: 60_000, rounds: 3, seconds: 2 },
    workers: { rounds: 3, counts: [1, 2, 4], orders: 50_000 },
    memory: { orders: 50_000 }
  },
  quick: {
    rounds: 2,
    seconds: 2,
    drain: { rounds: 1, orders: 50_000, peerOrders: 5000 },
    batch: { rounds: 2, orders: 100_000, peerOrders: 30_000 },
    wait: { rounds: 2, seconds: 2 },
    memory: { orders: 25_000 }
  },
  check: {
    rounds: 3,
    seconds: 2,
    drain: { rounds: 2, orders: 40_000, peerOrders: 4000 }
  }
}

/** The bounds of each ratio: the aim of a full run, and a much lower bound for a check, which fails below it. */
export const aims = {
  acceptLimitEverysec: { full: { atLeast: 0.6 } },
  acceptLimitAlways: { full: { atLeast: 0.48 }, check: { atLeast: 0.24 } },
  acceptBullmq: { full: { atLeast: 1.6 }, check: { atLeast: 0.5 } },
  batchSingle: { full: { atLeast: 3.5 } },
  batchBullmq: { full: { atLeast: 3 } },
  read: { full: { atLeast: 0.85 }, check: { atLeast: 0.3 } },
  drainLimit: { full: { atLeast: 0.35 }, check: { atLeast: 0.12 } },
  drainBullmq: { full: { atLeast: 5 }, check: { atLeast: 2 } },
  sustainedBullmq: { full: { atLeast: 4 } },
  growth: { full: { atLeast: 0.8 } },
  metricsGrowth: { full: { atMost: 1.25 } },
  waitBullmq: { full: { atLeast: 1.5 } },
  backlog: { full: { atLeast: 0.9 } }
} as const satisfies Record<string, Partial<Record<Extent, { atLeast?: number; atMost?: number }>>>
