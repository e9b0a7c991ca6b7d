import { TerminalError } from '../streams/function.ts'

/** The id belongs to an order with another body; the first one stands. */
export class OrderConflict extends TerminalError {
  override name = 'OrderConflict'

  constructor(orderId: string) {
    super(
      'conflict',
      `The order ${orderId} exists with another amount, which stands. An order id names one order forever: use a new id.`
    )
  }
}

/** Neither store has an order of that id. */
export class OrderNotFound extends Error {
  override name = 'OrderNotFound'

  constructor(orderId: string) {
    super(`There is no order ${orderId}.`)
  }
}
