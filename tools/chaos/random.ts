/** A repeatable source of random numbers: the same seed and purpose return the same numbers in the same order. */
export interface Random {
  /** Returns a number from 0 to below 1. */
  next: () => number
  /** Returns a number from `min` to below `max`. */
  between: (min: number, max: number) => number
  /** Returns a whole number from `min` to `max`, both included. */
  whole: (min: number, max: number) => number
  /** Returns true with this probability (0 to 1). */
  chance: (probability: number) => boolean
  pick: <T>(list: readonly T[]) => T
  /** Returns the same elements in a random order. */
  shuffle: <T>(list: readonly T[]) => T[]
}

/**
 * Creates the random numbers of one purpose. Each purpose has its own sequence. The readers draw as often as their time
 * allows, and must not change the numbers of the other purposes.
 */
export function createRandom(seed: number, purpose: string): Random {
  let state = hash(`${purpose}/${seed}`)
  const next = () => {
    state = (state + 0x9e3779b9) | 0
    return scramble(state) / 2 ** 32
  }
  const whole = (min: number, max: number) => min + Math.floor(next() * (max - min + 1))
  const pick = <T>(list: readonly T[]) => list[whole(0, list.length - 1)] as T
  return {
    next,
    between: (min, max) => min + next() * (max - min),
    whole,
    chance: probability => next() < probability,
    pick,
    shuffle: list => {
      const rest = [...list]
      return list.map(() => rest.splice(whole(0, rest.length - 1), 1)[0] as (typeof rest)[number])
    }
  }
}

/** Hashes a text to a whole number from 0 to 2³² − 1. */
export function hash(text: string): number {
  let state = text.length
  for (let i = 0; i < text.length; i++) state = scramble((state << 5) ^ text.charCodeAt(i) ^ (state >>> 7))
  return state
}

function scramble(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x21f0aaad)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
  return (mixed ^ (mixed >>> 15)) >>> 0
}
