import type { FastifySchemaValidationError } from 'fastify'

/** An error after which a batch ends. It refuses the whole request when no order comes before it. */
export class EndsBatch extends Error {
  override name = 'EndsBatch'
}

/** The body is no batch: it is empty, or it is JSON but no array. */
export class NoBatch extends EndsBatch {
  override name = 'NoBatch'
}

/** The JSON of a batch is broken, so nobody knows where the next order begins. */
export class BrokenBatch extends EndsBatch {
  override name = 'BrokenBatch'
}

/** The body of a batch did not arrive in time. */
export class LateBatch extends EndsBatch {
  override name = 'LateBatch'
}

/** A batch has more orders than a request may have. */
export class BatchTooLarge extends EndsBatch {
  override name = 'BatchTooLarge'

  constructor(limit: number) {
    super(
      `One request may have at most ${limit} orders. Send this order and the following ones in another request.`
    )
  }
}

/** The service stops and takes no further orders of a batch. */
export class BatchStopped extends EndsBatch {
  override name = 'BatchStopped'

  constructor() {
    super(
      'The service stops. It took the orders before this one; send this order and the following ones again.'
    )
  }
}

/** The text of an order is longer than the body of a single request may be. */
export class OrderTooLarge extends Error {
  override name = 'OrderTooLarge'

  constructor(limit: number) {
    super(`One order may have at most ${limit} bytes.`)
  }
}

/** An order of a batch does not match its schema. Its fields are those of Fastify's errors. */
export class OrderMismatch extends Error {
  override name = 'OrderMismatch'
  readonly validation: FastifySchemaValidationError[]
  readonly validationContext = 'order'

  constructor(validation: FastifySchemaValidationError[]) {
    super('The order does not match its schema.')
    this.validation = validation
  }
}
