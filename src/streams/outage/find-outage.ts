import type { StoreState } from '../../stores/availability.ts'
import { fromBareDriver } from '../../stores/bare-driver-errors.ts'
import { type StoreName, StoreRefused, StoreUnavailable, UnexplainedStoreError } from '../../stores/errors.ts'
import { TerminalError } from '../function.ts'
import { HandlerTimeout } from './handler-timeout.ts'

/** The error of a store that caused an error of a handler. */
export interface FoundStoreError {
  error: StoreUnavailable | UnexplainedStoreError
  /**
   * True when the code of this service has classified the error. An error of a bare driver may come from another
   * server.
   */
  checked: boolean
}

/**
 * Finds the error of a store: the thrown error itself, or an error among its causes and the errors of an
 * `AggregateError`, at any depth. Does not search the causes of a `TerminalError`: its author has decided that the
 * message fails.
 */
export function findStoreError(thrown: unknown): FoundStoreError | undefined {
  const open = [thrown]
  const seen = new Set<unknown>()
  while (open.length > 0) {
    const error = open.pop()
    if (!(error instanceof Error) || error instanceof TerminalError || seen.has(error)) continue
    seen.add(error)
    if (isStoreError(error)) return { error, checked: true }
    const [driver, causes] = readError(error)
    if (isStoreError(driver)) return { error: driver, checked: false }
    open.push(...causes)
  }
  return undefined
}

function isStoreError(error: unknown): error is FoundStoreError['error'] {
  return error instanceof StoreUnavailable || error instanceof UnexplainedStoreError
}

/**
 * Returns the error of a store that a driver's error means, and the causes; nothing when a getter of the error throws.
 */
function readError(error: Error): [driver: Error | undefined, causes: unknown[]] {
  try {
    const errors = error instanceof AggregateError && Array.isArray(error.errors) ? error.errors : []
    return [fromBareDriver(error), [...errors, error.cause]]
  } catch {
    return [undefined, []]
  }
}

/**
 * Finds the outage that caused an error. Returns undefined when the store answers its ping and accepts an unrelated
 * write: the messages are at fault then. After a timeout it pings both stores, since the handler may have waited for a
 * store.
 */
export async function findOutage(
  stores: Record<StoreName, StoreState>,
  thrown: unknown
): Promise<StoreUnavailable | undefined> {
  if (thrown instanceof HandlerTimeout) return firstDown(stores, thrown)
  const found = findStoreError(thrown)
  if (!found) return undefined
  const { error, checked } = found
  if (error instanceof StoreRefused && checked) return error
  if (await stores[error.store].takesWrites()) return undefined
  return error instanceof StoreUnavailable ? error : new StoreRefused(error.store, error)
}

async function firstDown(
  stores: Record<StoreName, StoreState>,
  cause: HandlerTimeout
): Promise<StoreUnavailable | undefined> {
  const names = ['redis', 'mysql'] as const
  const answers = await Promise.all(names.map(name => stores[name].check()))
  const down = names.find((_, index) => !answers[index])
  return down && new StoreUnavailable(down, cause)
}
