/** A span of time, in ms since the start of the process. */
export interface Span {
  began: number
  ended: number
}

/** Returns whether two spans overlap. */
export function overlaps(one: Span, other: Span): boolean {
  return one.began < other.ended && one.ended > other.began
}
