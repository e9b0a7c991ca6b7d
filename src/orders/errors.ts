import { StoreUnavailable } from '../stores/errors.ts'
import { TerminalError } from '../streams/function.ts'

/** An order with the same id and another body exists. The existing order stays unchanged. */
export class OrderConflict extends TerminalError {
  override name = 'OrderConflict'

  constructor(orderId: string) {
    super(
      'conflict',
      `The order ${orderId} exists with another body. An order id names one order forever: use a new id.`
    )
  }
}

/**
 * A running process may not support tenants. It could read or change an order of another tenant with the same id, so only
 * orders of the default tenant are accepted.
 */
export class TenantsUnknown extends StoreUnavailable {
  override name = 'TenantsUnknown'

  constructor() {
    super('redis', new Error('a process may run that does not know tenants'))
  }
}

/** A fault of an order that a JSON schema cannot express. */
export interface OrderFault {
  /** JSON pointer (RFC 6901) to the fault in the body. */
  pointer: string
  detail: string
}

/** The order matches its schema, but its fields contradict each other or break a rule. */
export class InvalidOrder extends Error {
  override name = 'InvalidOrder'
  readonly faults: OrderFault[]

  constructor(faults: OrderFault[]) {
    super('The order is not valid.')
    this.faults = faults
  }
}

/** The order is final, so it cannot be cancelled. */
export class OrderFinal extends Error {
  override name = 'OrderFinal'

  constructor(orderId: string, status: string) {
    super(`The order ${orderId} is ${status}. Only an order that is processing can be cancelled.`)
  }
}

/** As many clients as a process allows wait for orders or follow events. */
export class TooManyWaiting extends Error {
  override name = 'TooManyWaiting'

  constructor(most: number) {
    super(`${most} clients of this process wait already.`)
  }
}

/** No order with the id exists in Redis or in MySQL. */
export class OrderNotFound extends Error {
  override name = 'OrderNotFound'

  constructor(orderId: string) {
    super(`There is no order ${orderId}.`)
  }
}
