/** Whether the tests run at full length: outages of a minute, a million orders, a hundred stops (`ORDERSTREAM_LONG=1`). */
export const LONG = process.env.ORDERSTREAM_LONG === '1'

/** A figure for the run that everyone waits for, and one for the run at full length. */
export function byLength<T>(short: T, long: T): T {
  return LONG ? long : short
}
