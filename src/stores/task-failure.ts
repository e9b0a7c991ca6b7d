import type { TaskFailure } from '../async/background.ts'
import { StoreRefused, StoreUnavailable } from './errors.ts'
import { reasonOf } from './reason.ts'

/** Judges the error of a background task. An unavailable store is a temporary failure, and a refusal is, too. */
export function judgeTaskFailure(error: unknown): TaskFailure {
  return {
    passing: error instanceof StoreUnavailable,
    refusal: error instanceof StoreRefused ? reasonOf(error) : undefined
  }
}
