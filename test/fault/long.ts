/** Whether `ORDERSTREAM_LONG=1` asks for full length: outages of a minute, a million orders, a hundred stops. */
export const LONG = process.env.ORDERSTREAM_LONG === '1'

/** Returns the value for a short run or the one for a run at full length. */
export function byLength<T>(short: T, long: T): T {
  return LONG ? long : short
}
