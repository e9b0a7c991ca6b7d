import { Gauge } from '@prometheus-io/client'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { OrderWatch } from '../../src/orders/watch/order-watch.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Waits for orders, and follows their events. */
    orderWatch: OrderWatch
  }
}

/** `app.orderWatch`: one reader of the events for all clients that wait. It reads only while somebody waits. */
async function orderWatch(app: FastifyInstance) {
  const { keys, log, orders, stores } = app
  const watch = new OrderWatch({
    redis: stores.redis,
    keys,
    log,
    read: orders.reader.read
  })
  app.decorate('orderWatch', watch)
  new Gauge({
    name: 'orderstream_waiting_clients',
    help: 'Requests that wait for an order, and open streams.',
    registers: [app.metrics.registry],
    collect() {
      this.set(watch.size)
    }
  })
  app.lifecycle.onDrain(async () => watch.stop())
}

export default fp(orderWatch, { name: 'order-watch', dependencies: ['orders', 'metrics', 'lifecycle'] })
