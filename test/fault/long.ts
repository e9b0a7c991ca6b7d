/** True with `ORDERSTREAM_LONG=1`, for a run at full length: outages of a minute, a million orders, a hundred stops. */
export const LONG = process.env.ORDERSTREAM_LONG === '1'

/** Returns the first value in a short run, and the second value in a run at full length. */
export function byLength<T>(short: T, long: T): T {
  return LONG ? long : short
}
