import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { convertOriginalOrders } from '../../src/orders/tables/original-orders.ts'
import { writeInVain } from '../../src/orders/tables/trial-write.ts'
import { createMysqlStores, type MysqlStore } from '../../src/stores/mysql/store.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** MySQL for functions: tables of their own, on connections of their own. */
    mysql: MysqlStore
    /** MySQL for orders. A function that took its connections would hold up orders. */
    ordersMysql: MysqlStore
  }
}

/**
 * The MySQL of this process, with the schema brought up to date. One that is away does not stop the start: it is
 * used from when it answers.
 */
async function mysql(app: FastifyInstance) {
  const stores = createMysqlStores(
    app.config,
    app.log,
    writeInVain,
    convertOriginalOrders(app.config.TAX_RATE)
  )
  app.decorate('mysql', stores.functions)
  app.decorate('ordersMysql', stores.orders)
  app.addHook('onClose', () => stores.close())
  await stores.start()
}

export default fp(mysql, { name: 'mysql' })
