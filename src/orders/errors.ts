import { TerminalError } from '../streams/function.ts'

/** The id names an order with another body. The first one stays. */
export class OrderConflict extends TerminalError {
  override name = 'OrderConflict'

  constructor(orderId: string) {
    super(
      'conflict',
      `The order ${orderId} exists with another amount. An order id names one order forever: use a new id.`
    )
  }
}

/** Neither store has an order with the id. */
export class OrderNotFound extends Error {
  override name = 'OrderNotFound'

  constructor(orderId: string) {
    super(`There is no order ${orderId}.`)
  }
}
