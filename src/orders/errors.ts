/** The id belongs to an order with another body; the first one stands. */
export class OrderConflict extends Error {
  override name = 'OrderConflict'
  readonly orderId: string

  constructor(orderId: string) {
    super(
      `The order ${orderId} exists with another amount, which stands. An order id names one order forever: use a new id.`
    )
    this.orderId = orderId
  }
}

/** Neither store has an order of that id. */
export class OrderNotFound extends Error {
  override name = 'OrderNotFound'

  constructor(orderId: string) {
    super(`There is no order ${orderId}.`)
  }
}
