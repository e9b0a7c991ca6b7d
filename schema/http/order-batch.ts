import { type Static, Type } from 'typebox'
import { NewOrder, Order } from './order.ts'
import { Problem } from './problem.ts'
import { ref } from './ref.ts'

/** Body of `POST /orders/batch` as one JSON array. As NDJSON, each line is one order. */
export const OrderBatch = Type.Array(ref(NewOrder), { description: 'The orders to accept.' })

/** Headers of `POST /orders/batch`. */
export const OrderBatchHeaders = Type.Object({
  prefer: Type.Optional(
    Type.String({
      description: '`return=representation` adds the order to each result (RFC 7240).',
      examples: ['return=representation']
    })
  )
})

/** The result of one order of a batch: one line of the answer of `POST /orders/batch`. */
export const OrderResult = Type.Object(
  {
    index: Type.Integer({ minimum: 0, description: 'The position of the order in the batch, from 0.' }),
    order_id: Type.Union([Type.String(), Type.Null()], {
      description: 'The id as the order has it; null when it has none that can be read.',
      examples: ['test-001']
    }),
    status: Type.Integer({
      minimum: 200,
      maximum: 599,
      description: 'The HTTP status that `POST /orders` answers to this order.',
      examples: [202]
    }),
    order: Type.Optional(ref(Order)),
    problem: Type.Optional(ref(Problem))
  },
  {
    $id: 'OrderResult',
    additionalProperties: false,
    description:
      'The result of one order of a batch. `order` exists only with `Prefer: return=representation`, and `problem` only when the order was refused.'
  }
)
/** The result of one order of a batch. */
export type OrderResult = Static<typeof OrderResult>
