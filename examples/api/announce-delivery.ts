import { Type } from 'typebox'
import { anyRoute, problem, retryable } from '../../schema/http/response.ts'
import type { App } from '../../src/app.ts'
import { Delivery } from '../worker/receive-delivery.ts'

const schema = {
  operationId: 'announceDelivery',
  summary: 'Announce a delivery of goods',
  body: Delivery,
  response: {
    ...anyRoute,
    202: Type.Object({ message_id: Type.String() }, { description: 'The delivery is in the queue.' }),
    413: problem('The body is too large.'),
    415: problem('The body is not JSON.'),
    429: retryable('Too many requests.'),
    503: retryable('The queue is unavailable. Send the same again.')
  }
}

/** POST /deliveries: answers at once; `receive-delivery` adds the delivery to the stock. */
export default async function announceDelivery(app: App) {
  app.post('/deliveries', { schema, config: { scope: 'orders:write' } }, async (request, reply) => {
    const message_id = await app.publish('deliveries', request.body, {
      key: request.body.item,
      origin: request
    })
    return reply.code(202).send({ message_id })
  })
}
