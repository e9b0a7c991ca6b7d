import { NewOrder } from '../../../schema/http/order.ts'
import { readJson } from '../body/json-body.ts'
import { compileBody } from '../validation.ts'
import { OrderMismatch } from './faults.ts'

/** The longest order id that a result repeats (characters). A valid id is not longer. */
const LONGEST_ID = 100

/**
 * Parses the text of one order of a batch, with the checks of the body of a single request.
 * @throws {InvalidJson | RefusedJson} when the text is not JSON that the service accepts.
 */
export function parseOrder(text: string): unknown {
  return readJson(text, 'order')
}

/** Returns the id in a parsed order; null when it has no id that a result can repeat. */
export function idOf(value: unknown): string | null {
  const { order_id: id } = (value ?? {}) as { order_id?: unknown }
  return typeof id === 'string' && id.length <= LONGEST_ID ? id : null
}

/**
 * Creates the check of parsed orders against the schema of `POST /orders`. It returns the order.
 * @throws {OrderMismatch} when the order does not match the schema.
 */
export function createOrderCheck(): (value: unknown) => NewOrder {
  const faultsOf = compileBody(NewOrder)
  return value => {
    const faults = faultsOf(value)
    if (faults) throw new OrderMismatch(faults)
    return value as NewOrder
  }
}
