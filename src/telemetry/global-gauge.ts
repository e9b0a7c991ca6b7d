/** The end of the help of a gauge that every process exports with the same figure. Prometheus must not add them up. */
export const GLOBAL_GAUGE = 'Every process exports the same figure: query it with `max by`, never with `sum`.'
